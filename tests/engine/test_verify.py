"""`make verify NAME=prod`: a real stack's outputs, the real ssh, and a mig-verify that says what the test wants."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from ssh_server import SshServer, new_key

from sandbox.engine.environment import Environment
from scripts.stack import StackError, names
from scripts.verify import again

pytestmark = pytest.mark.engine
CHECKOUT = Path(__file__).resolve().parents[2]
NODE = "mlops-k8s-master"
PASSED = {
    "version": 1,
    "passed": True,
    "started": "2026-11-23T20:15:42Z",
    "seconds": 9.8,
    "checks": [{"name": "ready", "node": NODE, "expected": "ready", "seen": "ready", "passed": True, "remedy": ""}],
    "devices": [{"node": NODE, "pod": "mig-single-1g-10gb-0", "profile": "1g.10gb", "uuid": "MIG-0", "gpu": "GPU-0"}],
}
FAILED = {**PASSED, "passed": False, "devices": []} | {
    "checks": [{"name": "ready", "node": NODE, "expected": "ready", "seen": "not", "passed": False, "remedy": "Wait."}]
}
Verify = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def programs(tmp_path: Path, server: SshServer, environment: Environment) -> Path:
    """First on PATH: the real ssh with the server's port, the real pulumi, a sudo that runs the test's mig-verify."""
    folder = tmp_path / "programs"
    folder.mkdir()
    _, port = server.listener.getsockname()
    (folder / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F none -p {port} "$@"\n')
    (folder / "pulumi").symlink_to(environment.programs / "pulumi")
    (folder / "sudo").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\nexec {tmp_path}/mig-verify\n')
    for name in ("ssh", "sudo"):
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def verify(tmp_path: Path, server: SshServer, programs: Path, monkeypatch: pytest.MonkeyPatch) -> Verify:
    """Runs `python -m scripts.verify` in a checkout with a stack prod that is up, as its outputs have it."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("machine", "plan", "scripts"):
        shutil.copytree(CHECKOUT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "Pulumi.yaml", checkout)
    (tmp_path / "state").mkdir()
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "SSH_"))},
        "HOME": str(tmp_path / "home"),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "correct horse",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "SSH_KEY": str(tmp_path / "client"),
    }
    monkeypatch.setenv("PATH", variables["PATH"])  # the server runs commands in this process's environment

    def pulumi(*arguments: str, stdin: str = "") -> None:
        subprocess.run(
            ["pulumi", *arguments], cwd=checkout, env=variables, input=stdin, text=True, check=True, capture_output=True
        )

    def run(*arguments: str, says: dict[str, Any] | None = None, host_key: str = "") -> Any:  # noqa: ANN401
        host, port = server.listener.getsockname()
        known = host_key or f"{server.host_key.get_name()} {server.host_key.get_base64()}"
        outputs = {"ssh": {NODE: f"ssh azureuser@{host}"}, "knownHosts": {NODE: f"[{host}]:{port} {known}"}}
        stack = {"urn": "urn:pulumi:prod::mig-k8s::pulumi:pulumi:Stack::mig-k8s-prod", "type": "pulumi:pulumi:Stack"}
        if arguments[:1] == ("prod",):
            pulumi("stack", "init", "prod")
            shutil.copy(CHECKOUT / "examples/single.yaml", checkout / "Pulumi.prod.yaml")
            deployment = {"resources": [{**stack, "custom": False, "outputs": outputs}]}
            pulumi("stack", "import", "--force", stdin=json.dumps({"version": 3, "deployment": deployment}))
        status = 0 if says and says["passed"] else 1
        (tmp_path / "mig-verify").write_text(
            f"#!/bin/sh\necho '·  0 s: 7 pods' >&2\ncat <<'END'\n{json.dumps(says)}\nEND\nexit {status}\n"
        )
        (tmp_path / "mig-verify").chmod(0o755)
        return subprocess.run(
            [sys.executable, "-m", "scripts.verify", *arguments],
            cwd=checkout,
            env=variables,
            text=True,
            capture_output=True,
            check=False,
            timeout=90,
        )

    return run


def test_it_runs_on_the_first_server_and_prints_what_make_sandbox_prints(verify: Verify, tmp_path: Path) -> None:
    done = verify("prod", "--junit", str(tmp_path / "report.xml"), says=PASSED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == (
        "verification: passed, 1 of 1 checks in 10 s\n  mlops-k8s-master: 1 × 1g.10gb: proven by a pod\n"
    )
    assert "·  0 s: 7 pods\n" in done.stderr
    assert (tmp_path / "calls").read_text() == "mig-verify --again --json\n"
    suites = ET.fromstring((tmp_path / "report.xml").read_bytes())  # noqa: S314 - our own
    assert (suites.get("tests"), suites.get("failures")) == ("1", "0")


def test_a_failed_check_is_told_and_is_the_exit_status(verify: Verify) -> None:
    done = verify("prod", says=FAILED)
    assert done.returncode == 1
    assert (
        "  FAILED mlops-k8s-master: ready\n    expected  ready\n    seen      not\n    do        Wait.\n" in done.stdout
    )


def test_another_host_key_than_the_stacks_is_not_talked_to(verify: Verify, tmp_path: Path) -> None:
    other = new_key(tmp_path, "other").with_suffix(".pub").read_text().strip()
    done = verify("prod", says=PASSED, host_key=" ".join(other.split()[:2]))
    assert done.returncode == 1
    assert "Host key verification failed." in done.stderr
    assert "does not get in, see above. Is the machine on, your address in adminCidrs" in done.stderr
    assert not (tmp_path / "calls").exists()


def test_a_report_from_a_file_needs_no_machine(verify: Verify, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(FAILED))
    done = verify("--from", str(tmp_path / "report.json"), "--junit", str(tmp_path / "report.xml"))
    assert done.returncode == 1
    assert done.stdout.startswith("verification: FAILED, 0 of 1 checks in 10 s\n")
    assert b'failures="1"' in (tmp_path / "report.xml").read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "(`pulumi stack output --json verification` prints a report): the verification's report is not JSON"),
        ('{"checks": []}', "the verification's report has no version"),
        (None, "No such"),
    ],
)
def test_a_file_that_is_not_a_report_is_told_without_a_traceback(
    verify: Verify, tmp_path: Path, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    done = verify("--from", str(tmp_path / "report.json"))
    assert done.returncode == 1
    assert done.stderr.startswith("verify: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stack_that_is_not_there_is_told_by_pulumi(verify: Verify) -> None:
    done = verify("staging")
    assert done.returncode == 1
    assert "verify: `pulumi stack output --json --stack staging` failed, see above" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_first_server_verifies_although_the_engine_sorts_machines_by_name() -> None:
    """`serve`, an agent, comes before it in every output."""
    assert names(CHECKOUT / "examples/cluster.yaml", role="server")[0] == "server"


def test_where_the_first_server_lets_nobody_in_the_next_one_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead, living = tmp_path / "ssh-to-first", tmp_path / "ssh-to-second"
    dead.write_text("#!/bin/sh\nexit 255\n")
    living.write_text(f"#!/bin/sh\necho '{json.dumps(PASSED)}'\n")
    for way in (dead, living):
        way.chmod(0o755)
    assert again([[str(dead)], [str(living)]]).passed
    assert f"`{dead}` does not get in: the next server is asked\n" in capsys.readouterr().err
    with pytest.raises(StackError, match="ssh-to-first` does not get in, see above"):
        again([[str(dead)], [str(dead)]])


def test_where_the_first_server_has_no_expectations_the_next_one_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "ssh-to-first", tmp_path / "ssh-to-second"
    first.write_text("#!/bin/sh\nexit 2\n")
    second.write_text(f"#!/bin/sh\necho '{json.dumps(PASSED)}'\n")
    for way in (first, second):
        way.chmod(0o755)
    assert again([[str(first)], [str(second)]]).passed
    assert f"`{first}` leads to one that cannot tell: the next server is asked\n" in capsys.readouterr().err
    with pytest.raises(StackError, match="ended with status 2 and without a report"):
        again([[str(first)], [str(first)]])


def test_a_failed_verification_is_not_run_again_elsewhere(tmp_path: Path) -> None:
    first, second = tmp_path / "ssh-to-first", tmp_path / "ssh-to-second"
    first.write_text(f"#!/bin/sh\necho '{json.dumps(FAILED)}'\nexit 1\n")
    second.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    for way in (first, second):
        way.chmod(0o755)
    assert not again([[str(first)], [str(second)]]).passed
    assert not (tmp_path / "asked").exists()
