"""What a killed command leaves is ended by `recover`, and two commands never work on one sandbox at once."""

import importlib.metadata
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
VERSION = importlib.metadata.version("pulumi-azure-native")
PROVIDER = f"urn:pulumi:sandbox::mig-k8s::pulumi:providers:azure-native::default_{VERSION.replace('.', '_')}"
GROUP = "/subscriptions/0/resourceGroups/group"
ADDRESS = f"{GROUP}/providers/Microsoft.Network/publicIPAddresses/ip1"
ASKED = {"resourceGroupName": "group", "publicIpAddressName": "ip1", "location": "westeurope"}


@pytest.fixture
def interrupted(tmp_path: Path) -> Environment:
    """Killed as it made a public address: Azure has it, the engine has noted only that it began."""
    environment = Environment(tmp_path / "sandbox", machines=True)
    environment.prepare(CHECKOUT / "Pulumi.dev.yaml", None)
    Sandbox(name="recovery", root=environment.root, network="10.99.255").save()
    group = {"urn": _URN.format("resources:ResourceGroup", "group"), "type": "azure-native:resources:ResourceGroup"}
    made_by = {"custom": True, "provider": f"{PROVIDER}::3f9c0e52-4d37-4d2e-9f29-8e7a3a1c5b10"}
    group |= {"id": GROUP, **made_by}
    begun = {"urn": _URN.format("network:PublicIPAddress", "ip"), "type": "azure-native:network:PublicIPAddress"}
    pending = {"resource": begun | {"inputs": ASKED, **made_by}, "type": "creating"}
    stack = "pulumi:pulumi:Stack"
    root = {"urn": f"urn:pulumi:sandbox::mig-k8s::{stack}::mig-k8s-sandbox", "type": stack, "custom": False}
    provider = {
        "urn": PROVIDER,
        "type": "pulumi:providers:azure-native",
        "custom": True,
        "inputs": {"version": VERSION},
    }
    provider |= {"id": "3f9c0e52-4d37-4d2e-9f29-8e7a3a1c5b10", "outputs": {"version": VERSION}}
    deployment = environment.state() | {"resources": [root, provider, group]}
    environment.output("stack", "import", "--force", stdin=json.dumps({"version": 3, "deployment": deployment}))
    state = environment.root / "pulumi/state/.pulumi/stacks/mig-k8s/sandbox.json"  # an import would drop the operation
    document = json.loads(state.read_text())
    document["checkpoint"]["latest"]["pending_operations"] = [pending]
    state.write_text(json.dumps(document))
    record = {"kind": "resources:ResourceGroup", "inputs": {}, "outputs": {}}
    made = {"kind": "network:PublicIPAddress", "inputs": ASKED, "outputs": {**ASKED, "ipAddress": "10.99.255.10"}}
    (environment.root / "azure.json").write_text(json.dumps({GROUP: record, ADDRESS: made}))
    return environment


def test_what_azure_made_is_noted_and_nothing_is_taken_away(
    interrupted: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(interrupted.state()["pending_operations"]) == 1
    recovery.recover(interrupted)
    assert "pending_operations" not in interrupted.state()
    (*_, address) = interrupted.state()["resources"]
    assert (address["id"], address["inputs"]) == (ADDRESS, ASKED)
    assert address["outputs"]["ipAddress"] == "10.99.255.10"
    assert list(json.loads((interrupted.root / "azure.json").read_text())) == [GROUP, ADDRESS]
    said = capsys.readouterr().out
    assert said == (
        "azure-native:network:PublicIPAddress ip was being made: Azure has it, and now the state does\n"
        "the next `pulumi up` goes on from here\n"
    )


def test_what_azure_does_not_have_is_forgotten(interrupted: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    (interrupted.root / "azure.json").write_text("{}")
    recovery.recover(interrupted)
    assert "pending_operations" not in interrupted.state()
    assert [resource.get("id") for resource in interrupted.state()["resources"]][2:] == [GROUP]
    said = capsys.readouterr().out
    assert "PublicIPAddress ip was being made: the next `pulumi up` makes it; Azure does not have it\n" in said


def test_where_nothing_was_interrupted_nothing_is_done(
    interrupted: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    recovery.recover(interrupted)
    before = interrupted.state()
    capsys.readouterr()
    recovery.recover(interrupted)
    assert interrupted.state()["resources"] == before["resources"]
    assert capsys.readouterr().out == "nothing was interrupted: there is nothing to do\n"


def test_a_second_command_is_refused_while_one_is_at_work(tmp_path: Path) -> None:
    with recovery.exclusive(tmp_path), pytest.raises(SandboxError, match="another command is at work on"):
        recovery.exclusive(tmp_path).__enter__()
    with recovery.exclusive(tmp_path):
        pass


def test_who_ends_what_a_killed_run_left_waits_while_another_worker_ends_it(tmp_path: Path) -> None:
    held, may_end, order, root = threading.Event(), threading.Event(), list[str](), tmp_path / "sandbox"

    def first() -> None:
        with recovery.exclusive(root):
            held.set()
            assert may_end.wait(10), "the second one never came"
            order.append("first")
            shutil.rmtree(root)  # as `down` does

    def second() -> None:
        may_end.set()
        with recovery.exclusive(root, seconds=10):
            order.append("second")
            with pytest.raises(SandboxError, match="another command is at work on"):
                recovery.exclusive(root).__enter__()

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
