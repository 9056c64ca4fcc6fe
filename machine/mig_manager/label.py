"""A node's layout that the GPU Operator's MIG Manager makes: it is told by a label, and waited for.

MIG Manager (NVIDIA/mig-parted v0.15) acts when the node's label nvidia.com/mig.config changes and when it starts. It
asks no pod: one that holds a device makes it fail, after other instances of that GPU are gone.
"""

from collections.abc import Callable
from dataclasses import dataclass

from machine.documents.mig_manager_layout import MigManagerLayout
from machine.gpu import first_layout, remembered, services
from machine.gpu.comparison import compared
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.host.clock import Clock
from machine.host.console import say
from machine.host.errors import NodeError
from machine.kubernetes import command_turn
from machine.kubernetes.node import Node

CONFIG = "nvidia.com/mig.config"
STATE = "nvidia.com/mig.config.state"
APP = "nvidia-mig-manager"
CHANGE_SECONDS = 900
"""How long MIG Manager may take: it waits up to 300 s for the end of each GPU client."""
FAILED_LOOKS = 5
"""How often `failed` must be seen: an earlier change may have ended in it a moment after the label was set."""
TOLD_SECONDS = 30
"""How often people are told that something is still waited for."""


def label(smi: NvidiaSmi, node: Node, wanted: MigManagerLayout) -> None:
    """Let MIG Manager make a layout and wait until the GPUs have it. Raises NodeError with the way out."""
    _wait(
        smi.machine.clock,
        lambda: _has_manager(node, wanted.config_map),
        wanted.seconds,
        f"no MIG Manager with the configuration {wanted.config_map} runs on {node.name}: "
        f"`kubectl get pods -n {wanted.namespace} -l app={APP} -o wide` shows what is there. With updateStrategy "
        "OnDelete, delete it. Given up",
    )
    remembered.forget(smi.machine)  # or the next boot would make what the machine last had
    labels = node.labels()
    is_made = _IsMade(smi, node, wanted)
    if labels.get(CONFIG) == wanted.config and labels.get(STATE) == "success" and is_made.gpus_are_right():
        say(f"{node.name} has {CONFIG}={wanted.config} already")
        return
    if first_layout.is_due(smi.machine) and CONFIG not in labels:
        _let_make(node, wanted, is_made)
    else:
        with command_turn.during(smi.machine, "MIG Manager changes its instances"):
            _let_make(node, wanted, is_made)
    services.refresh_cdi(smi.machine)
    first_layout.note_made(smi.machine)
    say(f"{node.name} has the devices of {wanted.config}")


def _let_make(node: Node, wanted: MigManagerLayout, is_made: Callable[[], bool]) -> None:
    if node.labels().get(CONFIG) == wanted.config:
        node.label(f"{CONFIG}-")  # MIG Manager acts on a change only
    node.label(f"{CONFIG}={wanted.config}", f"{STATE}-")
    say(f"{node.name}: {CONFIG}={wanted.config}")
    _wait(
        node.kubectl.machine.clock,
        is_made,
        CHANGE_SECONDS,
        f"MIG Manager has not made {CONFIG}={wanted.config} on {node.name}: {_logs(wanted)} tells why. Deleted "
        f"(`kubectl delete pod -n {wanted.namespace} -l app={APP}`), it begins anew; then `pulumi up`. Given up",
    )


def unlabel(node: Node) -> None:
    """Take MIG Manager's label off a node, so that it changes nothing there until it is labelled again."""
    if CONFIG in node.labels():
        node.label(f"{CONFIG}-", f"{STATE}-")
        say(f"MIG Manager changes nothing on {node.name} until it is told of the new layout")


@dataclass
class _IsMade:
    """Whether MIG Manager has made the layout. Raises NodeError when it says that it failed, and keeps saying so."""

    smi: NvidiaSmi
    node: Node
    wanted: MigManagerLayout
    failed: int = 0

    def __call__(self) -> bool:
        state = self.node.labels().get(STATE)
        self.failed = self.failed + 1 if state == "failed" else 0
        if self.failed == FAILED_LOOKS:
            words = f"MIG Manager failed at {CONFIG}={self.wanted.config} on {self.node.name}"
            raise NodeError(f"{words}: {_logs(self.wanted)} tells why; then `pulumi up`")
        # Its success may be of an earlier change; the devices are the proof.
        return state == "success" and self.gpus_are_right()

    def gpus_are_right(self) -> bool:
        return compared(self.smi, self.wanted.layout).is_right


def _has_manager(node: Node, config_map: str) -> bool:
    """Whether the one MIG Manager of a node runs with this configuration, and none is left that has another."""
    pods = node.pods("-l", f"app={APP}")
    return len(pods) == 1 and (
        "deletionTimestamp" not in pods[0]["metadata"]
        and pods[0]["status"].get("phase") == "Running"
        and config_map in [volume.get("configMap", {}).get("name") for volume in pods[0]["spec"].get("volumes", [])]
    )


def _logs(wanted: MigManagerLayout) -> str:
    return f"`kubectl logs -n {wanted.namespace} -l app={APP}`"


def _wait(clock: Clock, condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition. Raises NodeError that says what was waited for."""
    deadline, told = clock.monotonic() + seconds, clock.monotonic()

    def told_condition() -> bool:
        nonlocal told
        if condition():
            return True
        if clock.monotonic() - told > TOLD_SECONDS:
            told = clock.monotonic()
            say(f"waiting for MIG Manager, up to {deadline - told:.0f} s more")
        return False

    if not clock.wait(told_condition, seconds):
        raise NodeError(f"{what} after {seconds:.0f} s")
