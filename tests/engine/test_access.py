"""How people get into machines: also when the way up has failed, which is when they need it most."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from sandbox import report
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


def test_after_a_failure_people_are_told_how_to_look_at_each_machine(sandbox: Sandbox) -> None:
    told = report.after_a_failure(sandbox)
    assert told.startswith("`make sandbox` tries again, `make sandbox-down` ends it\n")
    (line,) = re.findall(r"^    (ssh -F \S+/ssh_config mlops-k8s-master sudo mig-k8s status)    ", told, re.M)
    assert str(access.ssh_config(sandbox.root)) in line


def test_a_failure_before_there_is_a_machine_says_only_how_to_go_on(tmp_path: Path) -> None:
    sandbox = Sandbox(name="access", root=tmp_path, network="10.99.255")
    assert report.after_a_failure(sandbox) == "`make sandbox` tries again, `make sandbox-down` ends it"
