"""What the engine would do from one recorded run of the program to another, and what that is to each machine.

A preview by the real engine takes a processor for four seconds, so for a table of eighty edits this stands in its
place, with as few rules of its own as possible. The inputs are those of the real `__main__.py` against a state
(tests/recording.py). What a change does to a resource of Azure is asked of the provider's stand-in and of its table of
what Azure refuses. What happens on a machine is read from the documents that are sent to it. It reads neither the plan
nor the digest. test_previews_of_changes.py holds it to the real engine's previews.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from recording import Graph, Registered
from sandbox.cloud import arm
from sandbox.cloud.azure_native import AzureNative
from sandbox.providers.kubernetes import Kubernetes
from sandbox.providers.resource_provider import Failure, ResourceProvider
from sandbox.providers.values import changes, top
from wire import opened

_AZURE, _COMMAND = "azure-native:", "command:remote:Command"
_VM = f"{_AZURE}compute:VirtualMachine"
_IDENTITY = ("azure-native:network:PublicIPAddress", "azure-native:network:NetworkInterface")


@dataclass(frozen=True)
class Step:
    """What is done to a resource: same, create, update, replace, delete, or what Azure says to an update."""

    operation: str
    paths: tuple[str, ...] = ()
    """The inputs that differ."""


def steps(old: Graph, new: Graph) -> dict[tuple[str, str], Step]:
    """The step of every resource that is not a component, by type and name."""
    before, after = _custom(old), _custom(new)
    records = {
        f"/subscriptions/{each.name}": {"kind": each.type.removeprefix(_AZURE), "inputs": _checked(each, {})}
        for each in before.values()
        if each.type.startswith(_AZURE)
    }
    return {
        key: _step(before.get(key), after.get(key), records) for key in {**before, **after} if _is_planned(key, after)
    }


def _custom(graph: Graph) -> dict[tuple[str, str], Registered]:
    return {(each.type, each.name): each for each in graph.resources if each.request.custom}


def _is_planned(key: tuple[str, str], after: dict[tuple[str, str], Registered]) -> bool:
    """What goes and is retained is only forgotten by the state."""
    return key in after or key[0] != _COMMAND or key[1].endswith("-removal")


def _step(old: Registered | None, new: Registered | None, records: arm.Records) -> Step:
    if old is None or new is None:
        return Step("create" if old is None else "delete")
    before = _checked(old, {})
    after = _checked(new, before)
    paths = tuple(path for path, _ in changes(before, after))
    triggered = old.request.replacement_trigger != new.request.replacement_trigger
    if triggered or any(_replaces(new.type, path) for path in paths):
        return Step("replace", paths)
    if not paths:
        return Step("same")
    if new.type.startswith(_AZURE):
        try:
            arm.require_changeable(records, new.type.removeprefix(_AZURE), f"/subscriptions/{new.name}", after)
        except Failure as refused:
            return Step(f"refused by Azure: {refused}", paths)
    return Step("update", paths)


def _replaces(type_name: str, path: str) -> bool:
    """Whether its provider replaces the resource for a change at this path."""
    if type_name == _COMMAND:
        return top(path) == "triggers"
    provider: ResourceProvider = AzureNative() if type_name.startswith(_AZURE) else Kubernetes()
    return type_name.startswith((_AZURE, "kubernetes:")) and provider.replaces(type_name, path)


def _checked(resource: Registered, before: dict[str, Any]) -> dict[str, Any]:
    """The inputs as the provider's Check makes them."""
    inputs: dict[str, Any] = json.loads(json.dumps(opened(resource.inputs)).replace('"/ids/', '"/subscriptions/'))
    if not resource.type.startswith(_AZURE):
        return inputs
    return AzureNative().check(resource.type, resource.name, before, inputs, resource.name.encode())


def becomes(old: Graph, new: Graph) -> dict[str, str]:
    """The word of every machine, as in tests/changes.py."""
    planned = steps(old, new)
    before, after = ({each.name for each in graph.of("Machine")} for graph in (old, new))
    found = dict.fromkeys(after - before, "new") | dict.fromkeys(before - after, "removed")
    # The engine refuses to delete what is protected in the state, and to replace what the program protects too.
    was, now = (
        {each.name.removesuffix("-vm") for each in graph.resources if each.type == _VM and each.request.protect}
        for graph in (old, new)
    )
    gone = {machine for machine in was & (now | (before - after)) if _goes(planned[_VM, f"{machine}-vm"])}
    found |= dict.fromkeys(gone, "refused")
    for machine in (before & after) - gone:
        own = {*_own(machine, old), *_own(machine, new)}
        found[machine] = _becomes(machine, old, new, {key: step for key, step in planned.items() if key in own})
    return found


def _goes(vm: Step) -> bool:
    return vm.operation in ("delete", "replace")


def _becomes(machine: str, old: Graph, new: Graph, own: dict[tuple[str, str], Step]) -> str:
    if refused := [step.operation for step in own.values() if step.operation.startswith("refused")]:
        return refused[0]
    vm = own[_VM, f"{machine}-vm"]
    if vm.operation == "replace":
        return "replaced"
    if lost := [key for key, step in own.items() if key[0] in _IDENTITY and step.operation in ("replace", "delete")]:
        return f"loses {lost}"
    if "hardwareProfile.vmSize" in vm.paths:
        return "resized"
    words = dict.fromkeys(_on_the_machine(machine, old, new))
    if "rebooted" in words:
        return "rebooted"
    told = [key for key, step in own.items() if step.operation != "same" and not _is_nothing(key, machine, old, new)]
    return ", ".join(words) or ("stays" if told else "untouched")


def _own(machine: str, graph: Graph) -> Iterator[tuple[str, str]]:
    """What belongs to the machine: its components have its name, and have children."""
    urns = {each.urn for each in graph.resources if each.name == machine and each.type.startswith("mig-k8s:")}
    yield from (
        (each.type, each.name) for each in graph.resources if each.request.parent in urns and each.request.custom
    )


def _is_nothing(key: tuple[str, str], machine: str, old: Graph, new: Graph) -> bool:
    """A step by which nothing comes to the machine: the ways out that it would have, and the name and the time limit of
    MIG Manager's configuration of all pools together."""
    if key in ((_COMMAND, f"{machine}-removal"), (_COMMAND, f"{machine}-rebuild")):
        return True
    if key != (_COMMAND, f"{machine}-label"):
        return False
    was, wanted = _document(key[1], old), _document(key[1], new)
    return bool(was and wanted) and all(was[part] == wanted[part] for part in ("config", "layout", "node"))


def _document(command: str, graph: Graph) -> dict[str, Any]:
    """The standard input of a command; nothing where there is no such command."""
    found = [each for each in graph.resources if (each.type, each.name) == (_COMMAND, command)]
    document: dict[str, Any] = json.loads(found[0].plain("stdin")) if found else {}
    return document


def _on_the_machine(machine: str, old: Graph, new: Graph) -> Iterator[str]:
    """What its new documents do there: the stages' own rules, as cloud-init/stages/ and machine/gpu/ have them. Those
    of the sandbox's tests that look at the machines before and after an `up` hold them to what happens."""
    was, wanted = (_document(f"{machine}-converge", graph) for graph in (old, new))
    desired = [each["desiredState"] for each in (was, wanted)]
    driver, modes = ([each[section] for each in desired] for section in ("driver", "mig"))
    changes_mode = None not in modes and modes[0]["mode"] != modes[1]["mode"]
    is_hopper = "H100" in new.one(f"{machine}-vm").plain("hardwareProfile", "vmSize")
    if None not in driver and driver[0] != driver[1] and driver[1]["source"] == "ubuntu":
        yield "rebooted"
    if changes_mode and not is_hopper:
        yield "rebooted"
    if changes_mode or _instances_go(machine, old, new):
        yield "pods"
    if was["rke2Config"] != wanted["rke2Config"] or desired[0]["rke2"]["version"] != desired[1]["rke2"]["version"]:
        yield "restarted"


def _instances_go(machine: str, old: Graph, new: Graph) -> bool:
    """Whether a GPU has fewer of a profile afterwards; the edits of the table move none that could stay."""
    was, wanted = (_layout(machine, graph) for graph in (old, new))
    return any(was[gpu] - wanted.get(gpu, Counter()) for gpu in was)


def _layout(machine: str, graph: Graph) -> dict[int, Counter[str]]:
    document = _document(f"{machine}-mig", graph) or _document(f"{machine}-label", graph).get("layout", {})
    return {gpu["index"]: Counter(each["profile"] for each in gpu["instances"]) for gpu in document.get("gpus", [])}
