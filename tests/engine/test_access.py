"""How people get into machines: also when the way up has failed, which is when they need it most."""

import json
import subprocess
from pathlib import Path

import pytest

from sandbox import person, report
from sandbox.engine.environment import Environment
from sandbox.host import access
from sandbox.instance import Sandbox

pytestmark = pytest.mark.engine
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """With one machine that was made and one that is only half made."""
    root = tmp_path / "sandbox"
    Environment(root, machines=True).prepare(CHECKOUT / "Pulumi.dev.yaml", None)
    sandbox = Sandbox(name="access", root=root, network="10.99.255")
    sandbox.save()
    for vm_id in ("whole", "half"):
        sandbox.machine_directory(vm_id).mkdir(parents=True)
    login = {"name": "mlops-k8s-master", "address": "10.99.255.10", "user": "azureuser"}
    (sandbox.machine_directory("whole") / "machine.json").write_text(json.dumps(login))
    return sandbox


def test_ssh_finds_every_machine_and_holds_it_to_its_host_key(sandbox: Sandbox) -> None:
    access.write_ssh_files(sandbox)
    asked = ["ssh", "-F", str(access.ssh_config(sandbox.root)), "-G", "mlops-k8s-master"]
    told = dict(
        line.split(" ", 1)
        for line in subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    )
    wanted = {"hostname": "10.99.255.10", "user": "azureuser", "stricthostkeychecking": "true", "identitiesonly": "yes"}
    assert {name: told[name] for name in wanted} == wanted
    kind, key, *_ = (sandbox.root / "keys/host.pub").read_text().split()
    assert Path(told["userknownhostsfile"].split()[0]).read_text().startswith(f"10.99.255.10 {kind} {key}")
    assert access.ssh_config(sandbox.root).stat().st_mode & 0o077 == 0


def test_a_machine_that_is_gone_is_no_longer_found(sandbox: Sandbox) -> None:
    access.write_ssh_files(sandbox)
    (sandbox.machine_directory("whole") / "machine.json").unlink()
    access.write_ssh_files(sandbox)
    assert access.ssh_config(sandbox.root).read_text() == ""


@pytest.fixture
def behind_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person, "command", lambda words: f"sudo {words}")


@pytest.mark.usefixtures("behind_sudo")
def test_what_is_printed_when_a_sandbox_is_up_has_the_word_sudo_only_where_root_is_needed(sandbox: Sandbox) -> None:
    """kubectl, ssh and make verify work for the person, whose files all of these are."""
    root = sandbox.root
    assert report.how_to_go_on(Environment(root, machines=True)).splitlines() == [
        "Look around",
        f"  {root}/bin/kubectl --kubeconfig \\",
        f"    {root}/kubeconfig get nodes,pods -A",
        f"  ssh -F {root}/ssh_config mlops-k8s-master",
        "",
        "Go on",
        "  make verify                                   verify it again",
        "  make preview STACK=examples/single.yaml       see what another stack changes",
        "  sudo make sandbox STACK=examples/single.yaml  change it",
        "  sudo make sandbox-down                        end it",
    ]


@pytest.mark.usefixtures("behind_sudo")
def test_after_a_failure_people_are_told_how_to_look_at_each_machine(sandbox: Sandbox) -> None:
    """Each command on a line of its own, to be copied."""
    assert report.after_a_failure(sandbox).splitlines() == [
        "`sudo make sandbox` tries again, `sudo make sandbox-down` ends it",
        "  how far each machine is, and why no further (its logs: /run/mig-k8s/log):",
        f"    ssh -F {sandbox.root}/ssh_config mlops-k8s-master sudo mig-k8s status",
    ]


@pytest.mark.usefixtures("behind_sudo")
def test_a_failure_before_there_is_a_machine_says_only_how_to_go_on(tmp_path: Path) -> None:
    sandbox = Sandbox(name="access", root=tmp_path, network="10.99.255")
    assert report.after_a_failure(sandbox) == "`sudo make sandbox` tries again, `sudo make sandbox-down` ends it"
