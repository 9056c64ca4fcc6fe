"""What a killed command leaves is taken away by the next, and two commands never work on one sandbox at once."""

import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox import recovery
from sandbox.engine.environment import Environment
from sandbox.error import SandboxError
from sandbox.instance import Sandbox

pytestmark = pytest.mark.engine
CHECKOUT = Path(__file__).resolve().parents[2]
_URN = "urn:pulumi:sandbox::mig-k8s::azure-native:{}::{}"
GROUP, ADDRESS = "/subscriptions/0/resourceGroups/group", "/subscriptions/0/resourceGroups/group/providers/ip/address"


@pytest.fixture
def interrupted(tmp_path: Path) -> Environment:
    """Killed as it made a public address: Azure has it, the engine has noted only that it began."""
    environment = Environment(tmp_path / "sandbox", machines=True)
    environment.prepare(CHECKOUT / "Pulumi.dev.yaml", None)
    Sandbox(name="recovery", root=environment.root, network="10.99.255").save()
    group = {"urn": _URN.format("resources:ResourceGroup", "group"), "type": "azure-native:resources:ResourceGroup"}
    group |= {"custom": True, "id": GROUP}
    begun = {"urn": _URN.format("network:PublicIPAddress", "ip"), "type": "azure-native:network:PublicIPAddress"}
    pending = {"resource": begun | {"custom": True}, "type": "creating"}
    deployment = environment.state() | {"resources": [group]}
    environment.output("stack", "import", "--force", stdin=json.dumps({"version": 3, "deployment": deployment}))
    state = environment.root / "pulumi/state/.pulumi/stacks/mig-k8s/sandbox.json"  # an import would drop the operation
    document = json.loads(state.read_text())
    document["checkpoint"]["latest"]["pending_operations"] = [pending]
    state.write_text(json.dumps(document))
    record = {"kind": "resources:ResourceGroup", "inputs": {}, "outputs": {}}
    (environment.root / "azure.json").write_text(json.dumps({GROUP: record, ADDRESS: record}))
    return environment


def test_unfinished_operations_and_what_nobody_noted_are_taken_away(
    interrupted: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(interrupted.state()["pending_operations"]) == 1
    recovery.recover(interrupted)
    assert "pending_operations" not in interrupted.state()
    assert [resource["id"] for resource in interrupted.state()["resources"]] == [GROUP]
    assert list(json.loads((interrupted.root / "azure.json").read_text())) == [GROUP]
    said = capsys.readouterr().err
    assert said == "· a command was killed here; taken away: creating ip (unfinished); address (made but not noted)\n"


def test_where_nothing_was_interrupted_nothing_is_said(
    interrupted: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    recovery.recover(interrupted)
    before = interrupted.state()
    capsys.readouterr()
    recovery.recover(interrupted)
    assert interrupted.state() == before
    assert capsys.readouterr().err == ""


def test_a_second_command_is_refused_while_one_is_at_work(tmp_path: Path) -> None:
    with recovery.alone(tmp_path), pytest.raises(SandboxError, match="another command is at work on"):
        recovery.alone(tmp_path).__enter__()
    with recovery.alone(tmp_path):
        pass


def test_who_ends_what_a_killed_run_left_waits_while_another_worker_ends_it(tmp_path: Path) -> None:
    held, may_end, order, root = threading.Event(), threading.Event(), list[str](), tmp_path / "sandbox"

    def first() -> None:
        with recovery.alone(root):
            held.set()
            assert may_end.wait(10), "the second one never came"
            order.append("first")
            shutil.rmtree(root)  # as `down` does

    def second() -> None:
        may_end.set()
        with recovery.alone(root, seconds=10):
            order.append("second")
            with pytest.raises(SandboxError, match="another command is at work on"):
                recovery.alone(root).__enter__()

    with ThreadPoolExecutor() as workers:
        one = workers.submit(first)
        assert held.wait(10), "the first one never began"
        two = workers.submit(second)
        one.result(10)
        two.result(10)
    assert order == ["first", "second"]


def test_the_status_of_a_half_made_machine_is_half_made(tmp_path: Path) -> None:
    root = tmp_path / "mig-k8s" / "default"
    Sandbox(name="default", root=root, network="10.99.255").save()
    (root / "machines" / "half").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "status"],
        cwd=CHECKOUT,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        text=True,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert "  machine half (half made): off\n" in done.stdout
