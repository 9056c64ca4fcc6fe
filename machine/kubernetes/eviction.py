"""Ending pods that are in the way of a change, as far as their disruption budgets allow it."""

import json
import re
from collections.abc import Iterable
from typing import Any

from machine.host.console import say
from machine.host.errors import NodeError
from machine.kubernetes.kubectl import RefusedError
from machine.kubernetes.node import Node
from machine.kubernetes.pods import Pod

BUDGET_SECONDS = 120
"""How long a disruption budget is waited for once pods are being evicted."""
_PAUSE_SECONDS = 2


def rehearse(node: Node, pods: Iterable[Pod]) -> None:
    """Ask whether disruption budgets allow it now. Ends no pod. Raises NodeError with the budgets that do not."""
    _check({pod: why for pod in sorted(pods) if (why := _evict(node, pod, dry_run=True))})


def evict(node: Node, pods: Iterable[Pod], *, why: str = "which holds a device that must go") -> None:
    """End pods and wait until they have ended; their owners make them again, under another uid.

    Raises NodeError with the budgets that do not allow it for BUDGET_SECONDS; some pods may have been ended by then.
    """
    meant = sorted(pods)
    for pod in meant:
        say(f"evicts pod {pod}, {why}")
    forbidden = dict.fromkeys(meant, "")

    def are_evicted() -> bool:
        nonlocal forbidden
        forbidden = {pod: why for pod in forbidden if (why := _evict(node, pod, dry_run=False))}
        return not forbidden

    node.kubectl.machine.clock.wait(are_evicted, BUDGET_SECONDS, pause=_PAUSE_SECONDS)
    _check(forbidden)
    if meant:
        node.wait_for_end(lambda pod: Pod.of(pod) in meant, "evicted pods")


def _check(forbidden: dict[Pod, str]) -> None:
    if forbidden:
        words = "; ".join(f"{pod}: {why}" for pod, why in forbidden.items())
        raise NodeError(f"pods may not be evicted: {words}. Give the budget room, or delete the pods yourself")


def _evict(node: Node, pod: Pod, *, dry_run: bool) -> str:
    """Evict a pod. Returns why that is not allowed now, if it is not."""
    options: dict[str, Any] = {"preconditions": {"uid": pod.uid}, "gracePeriodSeconds": pod.grace}
    if dry_run:
        options["dryRun"] = ["All"]
    metadata = {"name": pod.name, "namespace": pod.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
    try:
        # Only kubectl's log of the answer has the name of the budget.
        node.kubectl.change("create", "--raw", path, "-f", "-", "-v=8", stdin=json.dumps(eviction))
    except RefusedError as error:
        if error.reason in ("NotFound", "Conflict"):  # gone, or another one of that name
            return ""
        if error.reason != "TooManyRequests":
            raise
        found = re.search(r'The disruption budget [^"\\]+', error.said)
        return found[0].rstrip(".") if found else "its disruption budget forbids it"
    return ""
