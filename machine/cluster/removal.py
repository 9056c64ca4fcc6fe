"""Taking a machine out of the cluster before it is deleted: its pods end first, its Node object goes last.

RKE2 removes a server's etcd member before the API forgets its Node; the Node's finalizer waits for that.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from machine.documents.node_removal import NodeRemoval
from machine.host import lock
from machine.host.console import say
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes import eviction
from machine.kubernetes.kubectl import Kubectl
from machine.kubernetes.node import Node, is_ready
from machine.kubernetes.pods import Pod

_LOCK = "/run/mig-k8s/removal"
_TURN_SECONDS = 1800
"""Removals run one after the other: how long one waits for its turn."""
_DELETE_SECONDS = 180
_ETCD = "node-role.kubernetes.io/etcd"


def remove(machine: ThisMachine, removal: NodeRemoval) -> None:
    """Remove the node, or change nothing. Raises NodeError with what stands in the way; a second run goes on."""
    kubectl = Kubectl.here(machine)
    if kubectl is None and removal.comes_back and removal.node == machine.node_name():
        say(f"{removal.node} is new, and its cluster was lost with the machine before it: nothing to remove")
        return
    if kubectl is None:
        raise NodeError("there is no Kubernetes on this machine: `sudo mig-k8s status` tells why")
    with lock.held(machine.path(_LOCK), machine.clock, seconds=_TURN_SECONDS) as is_our_turn:
        if not is_our_turn:
            raise NodeError(f"another machine is being removed for more than {_TURN_SECONDS} s: see {_LOCK}")
        nodes = {found["metadata"]["name"]: found for found in kubectl.get("nodes")}
        leaving = nodes.pop(removal.node, None)
        others = list(nodes.values())
        if leaving is None:
            say(f"{removal.node} is not a node of this cluster: nothing to remove")
            return
        _check_quorum(leaving, others, removal)
        if removal.node == machine.node_name():
            kubectl = replace(kubectl, address=_address_of_another(others))
        with _emptied(Node(kubectl, removal.node), leaving, removal):
            say(f"deletes node {removal.node}")
            command = ("delete", "node", removal.node, "--ignore-not-found", f"--timeout={_DELETE_SECONDS}s")
            # With a server goes its etcd member: the API server is away while those that stay elect anew.
            kubectl.repeat(*command, away_seconds=_DELETE_SECONDS, seconds=_DELETE_SECONDS + 30)


def _check_quorum(leaving: dict[str, Any], others: list[dict[str, Any]], removal: NodeRemoval) -> None:
    """etcd goes on while more than half of its members answer. Raises NodeError where that would end."""
    if not _is_server(leaving):
        return
    name = leaving["metadata"]["name"]
    servers = [other for other in others if _is_server(other)]
    dead = [server["metadata"]["name"] for server in servers if not is_ready(server)]
    stays = f"{name} is not {'rebuilt' if removal.comes_back else 'removed'}"
    if not servers:
        instead = (
            "Set mig-k8s:rebuild of it back. To lose the cluster: mig-k8s:clusterMayBeLost: true, `pulumi up`, and "
            "rebuild it then"
            if removal.comes_back
            else "Put it back into the stack file; `pulumi destroy` ends a whole stack"
        )
        raise NodeError(f"{stays}: it is the only server, and the cluster would be lost with it. {instead}")
    if len(servers) - len(dead) <= len(servers) // 2:
        raise NodeError(
            f"{stays}: of the servers that stay, {', '.join(dead)} do not answer, so the cluster would lose the "
            "majority of its servers. Bring them back first"
        )


def _address_of_another(others: list[dict[str, Any]]) -> str:
    """The address of a server that still answers when this one's API server has ended with its etcd member."""
    answers = next(other for other in others if _is_server(other) and is_ready(other))
    return next(str(each["address"]) for each in answers["status"]["addresses"] if each["type"] == "InternalIP")


def _is_server(node: dict[str, Any]) -> bool:
    return _ETCD in node["metadata"].get("labels", {})


def _check_turn(server: Node) -> None:
    """Two servers never leave at once. Raises NodeError.

    The engine removes them one after the other, but people delete nodes too, and older versions wrote other commands
    into the state. Each is cordoned first and then looks for others that are, so of two at least one stays.
    """
    leaving = [
        found["metadata"]["name"]
        for found in server.kubectl.get("nodes")
        if _is_server(found)
        and (found.get("spec", {}).get("unschedulable") or "deletionTimestamp" in found["metadata"])
    ]
    if others := ", ".join(name for name in leaving if name != server.name):
        raise NodeError(
            f"{server.name} is not removed: {others} is cordoned and may be leaving too, and two servers that leave at "
            f"once cost the cluster its majority. Put {server.name} back into the stack file, `pulumi up`, then remove "
            f"it alone. Where nobody removes {others}: `kubectl uncordon` it first"
        )


@contextlib.contextmanager
def _emptied(node: Node, leaving: dict[str, Any], removal: NodeRemoval) -> Iterator[None]:
    """In here the pods of users have ended and no more come. If the node stays after all, pods may come again."""
    if not is_ready(leaving):
        say(f"{node.name} does not answer, so its pods cannot be told to end; their owners make them again elsewhere")
        yield
        return
    _check_pods(node, removal)
    node.kubectl.repeat("cordon", node.name)
    try:
        if _is_server(leaving):
            _check_turn(node)
        why = f"because {node.name} is {'rebuilt' if removal.comes_back else 'removed'}"
        eviction.evict(node, _check_pods(node, removal), why=why)
        yield
    except BaseException:
        try:
            node.kubectl.repeat("uncordon", node.name)
        except NodeError as error:  # this must not replace the reason
            say(f"{node.name} stays cordoned: {error}")
        raise


def _check_pods(node: Node, removal: NodeRemoval) -> list[Pod]:
    """The pods that are to end. Raises NodeError where the stack file or a disruption budget forbids it."""
    pods = node.pods_of_users(removal.namespaces)
    if removal.on_change == "drain":
        eviction.rehearse(node, pods)
    elif pods:
        what, then = ("rebuilt", "with the old text, and rebuild it then")
        if not removal.comes_back:
            what, then = ("removed", "while the machine is still in the stack file, and remove it then")
        raise NodeError(
            f"pods run on {node.name}, which is to be {what}: {', '.join(map(str, pods))}. Delete them; or set "
            f"mig.onChange to drain, run `pulumi up` {then}"
        )
    return pods
