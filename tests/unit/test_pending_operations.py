"""What becomes of each operation that a killed engine left, in one change of the state."""

import copy
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scripts import pending_operations
from scripts.engine import Engine
from scripts.pending_operations import settle
from scripts.stack import StackError

GROUP_ID = "/subscriptions/17/resourceGroups/group"
PROVIDER = "urn:pulumi:prod::mig-k8s::pulumi:providers:azure-native::default_3_29_0"


def resource(kind: str, name: str, **more: object) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:prod::mig-k8s::{kind}::{name}", "type": kind, **more}


GROUP = resource("azure-native:resources:ResourceGroup", "group", id=GROUP_ID, inputs={"resourceGroupName": "group"})
VM_INPUTS = {"resourceGroupName": "group", "vmName": "m", "osProfile": {"customData": {"ciphertext": "v1:…"}}}
VM = resource("azure-native:compute:VirtualMachine", "m-vm", inputs=VM_INPUTS, provider=f"{PROVIDER}::5b")
VM_ID = f"{GROUP_ID}/providers/Microsoft.Compute/virtualMachines/m"
COMMAND = resource("command:remote:Command", "m-converge", inputs={})


@dataclass(frozen=True, kw_only=True)
class Keeping(Engine):
    """A Pulumi with a state, as the CLI exports and imports it."""

    state: dict[str, Any]
    replaced: list[dict[str, Any]] = field(default_factory=list)

    def tried(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        assert not stdin
        if arguments == ("stack", "export"):
            return subprocess.CompletedProcess(arguments, 0, json.dumps(self.state), "")
        assert arguments[:3] == ("stack", "import", "--file")
        self.replaced.append(json.loads(Path(arguments[3]).read_text())["deployment"])
        return subprocess.CompletedProcess(arguments, 0, "", "")


@dataclass
class Cloud:
    """Azure by its ids, and what it was asked."""

    has: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def outputs(self, kind: str, resource_id: str, version: str) -> dict[str, Any] | None:
        self.asked.append((kind, resource_id, version))
        return self.has.get(resource_id)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    cloud = Cloud()

    @contextmanager
    def azure_of(_engine: Engine) -> Iterator[Cloud]:
        yield cloud

    monkeypatch.setattr(pending_operations, "azure_of", azure_of)
    return cloud


def engine(*pending: tuple[str, dict[str, Any]], resources: list[dict[str, Any]] | None = None) -> Keeping:
    provider = {"urn": PROVIDER, "type": "pulumi:providers:azure-native", "inputs": {"version": "3.29.0"}}
    operations = [{"type": doing, "resource": each} for doing, each in pending]
    deployment = {"resources": resources or [provider, GROUP], "pending_operations": operations}
    state = copy.deepcopy({"version": 3, "deployment": deployment})
    return Keeping(stack="prod", folder=Path(), variables={}, state=state)


def test_without_pending_operations_the_state_is_not_touched(cloud: Cloud) -> None:
    pulumi = engine()
    assert list(settle(pulumi)) == []
    assert (pulumi.replaced, cloud.asked) == ([], [])


def test_commands_changes_and_deletions_are_taken_out_and_azure_is_not_asked(cloud: Cloud) -> None:
    pulumi = engine(("creating", COMMAND), ("updating", GROUP), ("deleting", GROUP))
    group = "azure-native:resources:ResourceGroup group"
    assert list(settle(pulumi)) == [
        "command:remote:Command m-converge was being made: the next `pulumi up` makes it",
        f"{group} was being changed: the next `pulumi up` changes it",
        f"{group} was being deleted: the next `pulumi up` deletes what is left of it",
    ]
    (state,) = pulumi.replaced
    assert "pending_operations" not in state
    assert [each["urn"] for each in state["resources"]] == [PROVIDER, GROUP["urn"]]
    assert cloud.asked == []


@pytest.mark.parametrize("doing", ["updating", "deleting", "creating"])
def test_what_is_in_the_state_and_was_not_finished_is_done_again_whatever_the_stack_file_says(
    cloud: Cloud, doing: str
) -> None:
    """The engine updates what has errors of its initialization, and the inputs here are those from before."""
    replaced = {**COMMAND, "delete": True}
    pulumi = engine((doing, {**COMMAND, "inputs": {"create": "new"}}), resources=[GROUP, replaced, COMMAND])
    list(settle(pulumi))
    (state,) = pulumi.replaced
    noted = {**COMMAND, "initErrors": ["a run that was interrupted may have changed it"]}
    assert state["resources"] == [GROUP, replaced, noted]
    assert cloud.asked == []


def test_what_took_the_place_of_one_that_was_being_deleted_is_not_touched(cloud: Cloud) -> None:
    replaced = {**COMMAND, "delete": True}
    pulumi = engine(("deleting", replaced), resources=[GROUP, replaced, COMMAND])
    list(settle(pulumi))
    (state,) = pulumi.replaced
    assert state["resources"] == [GROUP, replaced, COMMAND]
    assert cloud.asked == []


def test_a_machine_that_azure_has_is_noted_with_the_inputs_of_the_program(cloud: Cloud) -> None:
    """Azure tells no custom data; without it in the state the next `up` would see a change of it."""
    cloud.has[VM_ID] = {"vmId": "1", "osProfile": {"computerName": "m"}, "provisioningState": "Succeeded"}
    pulumi = engine(("creating", VM))
    assert list(settle(pulumi)) == [
        "azure-native:compute:VirtualMachine m-vm was being made: Azure has it, and now the state does"
    ]
    (state,) = pulumi.replaced
    assert state["resources"][-1] == {**VM, "id": VM_ID, "outputs": cloud.has[VM_ID]}
    assert cloud.asked == [("azure-native:compute:VirtualMachine", VM_ID, "3.29.0")]


def test_a_machine_that_azure_does_not_have_is_forgotten(cloud: Cloud) -> None:
    pulumi = engine(("creating", VM))
    (line,) = settle(pulumi)
    assert line.endswith("m-vm was being made: the next `pulumi up` makes it; Azure does not have it")
    (state,) = pulumi.replaced
    assert state["resources"][-1] == GROUP
    assert cloud.asked[0][1] == VM_ID


def test_what_azure_is_still_making_is_said(cloud: Cloud) -> None:
    cloud.has[VM_ID] = {"vmId": "1", "provisioningState": "Creating"}
    (line,) = settle(engine(("creating", VM)))
    assert line.endswith("Azure has it, as Creating, and now the state does")


def test_a_machine_made_anew_takes_the_place_of_the_one_deleted_for_it(cloud: Cloud) -> None:
    cloud.has[VM_ID] = {"vmId": "2"}
    gone = {**VM, "id": VM_ID, "outputs": {"vmId": "1"}, "pendingReplacement": True}
    pulumi = engine(("creating", VM), resources=[GROUP, gone, COMMAND])
    list(settle(pulumi))
    (state,) = pulumi.replaced
    assert state["resources"] == [GROUP, {**VM, "id": VM_ID, "outputs": {"vmId": "2"}}, COMMAND]


def test_what_a_later_run_has_finished_is_not_asked_for(cloud: Cloud) -> None:
    done = {**VM, "id": VM_ID, "outputs": {"vmId": "1"}}
    pulumi = engine(("creating", VM), resources=[GROUP, done])
    assert list(settle(pulumi)) == ["azure-native:compute:VirtualMachine m-vm is in the state"]
    assert pulumi.replaced == [{"resources": [GROUP, done]}]
    assert cloud.asked == []


def test_a_state_that_changes_meanwhile_is_left_alone(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi = engine(("creating", VM))

    def outputs(*_asked: str) -> None:
        pulumi.state["deployment"]["resources"].append(COMMAND)

    monkeypatch.setattr(cloud, "outputs", outputs)
    with pytest.raises(StackError, match=r"the state changed meanwhile: another Pulumi works .* Nothing was changed"):
        list(settle(pulumi))
    assert pulumi.replaced == []


def test_where_azure_cannot_be_asked_nothing_is_changed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def outputs(*_asked: str) -> None:
        raise StackError("Azure could not be asked")

    monkeypatch.setattr(cloud, "outputs", outputs)
    pulumi = engine(("creating", COMMAND), ("creating", VM))
    with pytest.raises(StackError):
        list(settle(pulumi))
    assert pulumi.replaced == []
