"""What the drawing and the page say of a plan in the same words."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from plan.report.summary import creation_command


def headline(plan: dict[str, Any]) -> str:
    """What is made, where, and who makes the MIG instances."""
    mig, count = plan["mig"], len(plan["nodes"])
    machines = "1 machine" if count == 1 else f"{count} machines"
    owner = "mig-apply over SSH" if mig["owner"] == "host" else "MIG Manager"
    return f"{machines} in {plan['location']}, strategy {mig['strategy']}, MIG instances by {owner}"


def admins(plan: dict[str, Any]) -> str:
    """Who reaches the machines."""
    return f"SSH and the Kubernetes API from {', '.join(plan['network']['adminCidrs'])}"


def warned_of(warning: dict[str, Any]) -> str:
    """The key of a stack file that a warning is about, and its value where it has one."""
    return f"{warning['path']}: {warning['value']}" if warning["value"] else str(warning["path"])


def alike(nodes: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Neighbours that are alike, as (their names, the first of them)."""
    for _, group in groupby(nodes, key=itemgetter("role", "vmSize", "gpus", "labels")):
        same = list(group)
        first, last = same[0], same[-1]
        yield first["name"] if len(same) == 1 else f"{first['name']} … {last['name']} ({len(same)} alike)", first


def alike_gpus(gpus: Sequence[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Neighbours that are divided alike, as (what they are, all of them)."""
    for _, group in groupby(gpus, key=itemgetter("mode", "instances")):
        same = list(group)
        first, last = same[0], same[-1]
        mode = "MIG on" if first["mode"] else "MIG off: whole GPUs" if len(same) > 1 else "MIG off: a whole GPU"
        numbers = f"GPU {first['index']}" if len(same) == 1 else f"GPUs {first['index']} to {last['index']}, each"
        yield f"{numbers}  {first['model']}  {mode}", same


def by_hand(same: Sequence[dict[str, Any]]) -> str:
    """The command that makes the instances of GPUs that are divided alike."""
    indices = ",".join(str(gpu["index"]) for gpu in same)
    return creation_command(indices, same[0]["instances"]) or ""


def facts(node: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """What a machine takes and what the cluster will show of it, as (title, lines)."""
    yield "user-data", [f"{node['userDataBytes']:,} of {node['userDataLimitBytes']:,} bytes"]
    yield "reboots", [_REBOOTS[node["reboots"]]]
    if node["fabricManager"]:
        yield "fabric", ["NVSwitch: Fabric Manager starts before MIG instances and RKE2"]
    for title in ("allocatable", "labels"):
        if node[title]:
            yield title, [f"{key}: {value}" for key, value in node[title].items()]
    if node["pods"]:
        yield "pods", list(_pods(node))


_REBOOTS = {0: "none", 1: "one at the first boot: this GPU changes its MIG mode on a reboot"}


def _pods(node: dict[str, Any]) -> Iterator[str]:
    pods: dict[tuple[str | None, bool], list[str]] = {}
    for pod in node["pods"]:
        pods.setdefault((pod["profile"], pod["compute"]), []).append(pod["name"])
    for (profile, computes), names in pods.items():
        last = names[-1].rpartition("-")[2]
        who = f"{names[0]} sees" if len(names) == 1 else f"{names[0]} to -{last}, each sees"
        yield f"{who} {profile or 'the whole GPU'}" + ("" if computes else " (visible, but CUDA cannot run on it)")


def questions(plan: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """What only Azure knows, as (the command that asks it, the questions that it answers)."""
    asked = sorted(plan["askAzure"], key=itemgetter("command"))
    for command, group in groupby(asked, key=itemgetter("command")):
        yield command, [each["question"] for each in group]
