"""What `make preview` guarantees, by the real engine."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.engine.environment import Environment
from sandbox.tools import pulumi_cli

pytestmark = pytest.mark.engine
CHECKOUT = Path(__file__).resolve().parents[2]
MACHINES = {
    "Pulumi.dev.yaml": {"mlops-k8s-master": "Standard_NC24ads_A100_v4"},
    "examples/single.yaml": {"mlops-k8s-master": "Standard_NC24ads_A100_v4"},
    "examples/none.yaml": {"mlops-k8s-master": "Standard_NC24ads_A100_v4"},
    "examples/none-mig-on.yaml": {"mlops-k8s-master": "Standard_NC24ads_A100_v4"},
}
STACK_FILES = ["Pulumi.dev.yaml", *sorted(str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob("examples/*.yaml"))]


def previewed(environment: Environment, stack_file: Path) -> dict[str, Any]:
    environment.prepare(stack_file, None)
    result: dict[str, Any] = json.loads(
        environment.output("preview", "--json", "--config-file", str(environment.stack_file))
    )
    return result


def command_line(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m sandbox …` as a user without any privilege would run it, with a home of its own."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    variables = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": cache, "XDG_STATE_HOME": str(tmp_path / "state")}
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"] if os.geteuid() == 0 else []
    command = [*powerless, sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(
        command, cwd=CHECKOUT, env=variables, text=True, capture_output=True, timeout=100, check=False
    )


@pytest.mark.parametrize("stack_file", STACK_FILES)
def test_every_stack_file_of_the_repository_previews_as_creates_only(environment: Environment, stack_file: str) -> None:
    result = previewed(environment, CHECKOUT / stack_file)
    assert set(result["changeSummary"]) == {"create"}
    machines = {
        step["newState"]["inputs"]["vmName"]: step["newState"]["inputs"]["hardwareProfile"]["vmSize"]
        for step in result["steps"]
        if step["urn"].split("::")[-2].endswith("azure-native:compute:VirtualMachine")
    }
    assert machines
    assert machines == MACHINES.get(stack_file, machines)


def test_a_released_pulumi_on_path_brings_the_language_host_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine looks beside its own program first. This host says that it ran, and is ours from there on."""
    released, environment = tmp_path / "released", Environment(tmp_path / "sandbox", machines=False)
    released.mkdir()
    shutil.copy(pulumi_cli.pulumi(), released / "pulumi")
    ours = environment.root / "pulumi/home/plugins/language-python-v3.259.0/pulumi-language-python"
    host = released / "pulumi-language-python"
    host.write_text(f'#!/bin/sh\necho "$0" >>"{tmp_path}/hosts"\nexec "{ours}" "$@"\n')
    host.chmod(0o755)
    monkeypatch.setenv("PATH", f"{released}:{os.environ['PATH']}")
    monkeypatch.delenv("MIG_K8S_BUILD_PULUMI", raising=False)
    assert set(previewed(environment, CHECKOUT / "Pulumi.dev.yaml")["changeSummary"]) == {"create"}
    assert set((tmp_path / "hosts").read_text().splitlines()) == {str(host)}


def test_a_preview_needs_no_privilege_and_leaves_the_home_and_the_checkout_alone(tmp_path: Path) -> None:
    before = sorted(path.name for path in CHECKOUT.glob("Pulumi.*"))
    done = command_line(tmp_path, "preview", "examples/single.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "azure-native:compute:VirtualMachine mlops-k8s-master-vm create" in done.stdout
    assert list((tmp_path / "home").iterdir()) == []
    assert sorted(path.name for path in CHECKOUT.glob("Pulumi.*")) == before


def test_down_after_previews_leaves_no_file(tmp_path: Path) -> None:
    assert command_line(tmp_path, "preview").returncode == 0
    assert (tmp_path / "state/mig-k8s/default/keys/admin").stat().st_mode & 0o077 == 0
    assert command_line(tmp_path, "down").returncode == 0
    assert list((tmp_path / "state").iterdir()) == []


def test_the_program_of_another_checkout_runs_on_this_ones_sandbox(environment: Environment, tmp_path: Path) -> None:
    """Its modules may have the names of ours: what the sandbox imports is its own checkout's."""
    for name in ("plan", "sandbox", "components"):
        (tmp_path / f"{name}.py").write_text("SIZE = 'of another checkout'\n")
    (tmp_path / "Pulumi.yaml").write_text((CHECKOUT / "Pulumi.yaml").read_text())
    (tmp_path / "__main__.py").write_text(
        "import pulumi\nfrom pulumi_azure_native.resources import ResourceGroup\nfrom plan import SIZE\n"
        "ResourceGroup('group', location='westeurope', tags={'program': SIZE})\n"
    )
    result = previewed(dataclasses.replace(environment, program=tmp_path), CHECKOUT / "Pulumi.dev.yaml")
    (group,) = [step["newState"] for step in result["steps"] if step["urn"].endswith("::group")]
    assert group["inputs"]["tags"] == {"program": "of another checkout"}


def test_a_second_preview_says_the_same(environment: Environment) -> None:
    def said() -> list[tuple[str, str]]:
        steps = previewed(environment, CHECKOUT / "Pulumi.dev.yaml")["steps"]
        return sorted((step["op"], step["urn"]) for step in steps)

    assert said() == said()


def test_no_secret_is_shown_or_lies_in_clear_outside_the_keys(environment: Environment) -> None:
    environment.prepare(CHECKOUT / "examples/cluster.yaml", None)
    shown = environment.output("preview", "--diff", "--config-file", str(environment.stack_file))
    shown += json.dumps(previewed(environment, CHECKOUT / "examples/cluster.yaml"))
    secrets = [
        line
        for key in ("admin", "host")
        for line in (environment.root / "keys" / key).read_text().splitlines()
        if not line.startswith("-")
    ]
    files = [path for path in environment.root.rglob("*") if path.is_file() and not path.is_symlink()]
    written = b"".join(path.read_bytes() for path in files if path.parent.name != "keys").decode(errors="replace")
    assert secrets
    assert [line for line in secrets if line in shown or line in written] == []
    assert (environment.root / "pulumi/passphrase").read_text() not in shown


def test_a_wrong_stack_gets_the_plans_report_and_no_traceback(tmp_path: Path) -> None:
    stack = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())
    stack["config"]["mig-k8s:adminCidrs"] = ["0.0.0.0/0"]
    stack["config"]["mig-k8s:migg"] = {"strategy": "mixed"}
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump(stack))
    done = command_line(tmp_path, "preview", str(wrong))
    assert done.returncode != 0
    assert "2 problems in this stack; nothing was made or changed." in done.stdout
    assert "Did you mean mig?" in done.stdout
    assert "mig-k8s:adminCidrs" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_stack_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = command_line(tmp_path, "preview", "examples/nothing.yaml")
    assert done.returncode == 1
    assert "· examples/nothing.yaml: No such file or directory; STACK names a stack file" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_sandbox_nothing_can_be_made(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "sandbox", machines=False)
    environment.prepare(CHECKOUT / "Pulumi.dev.yaml", None)
    flags = ["--yes", "--skip-preview", "--config-file", str(environment.stack_file)]
    done = subprocess.run(
        [environment.programs / "pulumi", "up", *flags],
        cwd=environment.project(),
        env=environment.variables(),
        text=True,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode != 0
    assert re.search(
        "nothing can be made without a sandbox, only previewed; `(sudo )?make sandbox` starts", done.stdout
    )


def test_a_users_own_pulumi_variables_do_not_reach_the_engine(
    monkeypatch: pytest.MonkeyPatch, environment: Environment
) -> None:
    for name in ("PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "ARM_CLIENT_SECRET", "KUBECONFIG", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "the user's")
    variables = environment.variables()
    assert "the user's" not in variables.values()
    assert variables["PULUMI_HOME"].startswith(str(environment.root))
    assert variables["PULUMI_BACKEND_URL"].startswith(f"file://{environment.root}")
