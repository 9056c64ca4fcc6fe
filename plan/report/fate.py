"""What becomes of a machine that a change touches, in words and by what it costs."""

from dataclasses import dataclass
from enum import Enum

from machine.documents.rke2_version import refused_step
from plan.machine import rke2
from plan.machine.addresses import Addresses
from plan.machine.node import NodePlan

_FROZEN = ("image", "admin_username", "public_key", "zone", "security_type", "os_disk_type", "spot")
"""What Azure refuses to change on a living machine; a new text under `rebuild` makes a new machine with it."""


class Cost(Enum):
    """What a change costs a machine, worst first, as the digest's first line begins to say it."""

    REFUSED = "`pulumi up` refuses it"
    REPLACED = "machines are replaced"
    REMOVED = "machines are removed"
    RESIZED = "machines stop and start"
    REBOOTED = "machines reboot"
    PODS = "pods may have to go"
    RESTARTED = "RKE2 restarts, pods go on"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fate:
    """`words` go on from the machine's name. `keeps_gpus`: the instances of before are there afterwards."""

    words: str
    cost: Cost
    keeps_gpus: bool = True


def fate(old: NodePlan, new: NodePlan, *, moved: bool) -> Fate:
    """Of a machine that is there before and after. `moved`: the stack is at another location then."""
    if moved or old.vm.rebuild != new.vm.rebuild:
        words = "is replaced: a new machine, everything on the old one is lost."
        return Fate(words=words, cost=Cost.REPLACED, keeps_gpus=False)
    if refused := _refused(old, new):
        return Fate(words=refused, cost=Cost.REFUSED)
    if old.vm.size != new.vm.size:
        words = f"is resized ({old.vm.size} → {new.vm.size}): it stops, starts, and makes its instances again."
        return Fate(words=words, cost=Cost.RESIZED, keeps_gpus=False)
    if why := _reboot(old, new):
        return Fate(words=f"stays, with one reboot: {why}. {_pods_at_reboot(old, new)}", cost=Cost.REBOOTED)
    more = ": this GPU changes its MIG mode at once" if _modes(old) != _modes(new) else ""
    if restart := _restart(old, new):
        return Fate(words=f"stays, without a reboot{more}. {restart}; its pods go on.", cost=Cost.RESTARTED)
    return Fate(words=f"stays, without a reboot{more}.", cost=Cost.NOTHING)


def _refused(old: NodePlan, new: NodePlan) -> str | None:
    """What the cluster or Azure does not let a living machine change, in words."""
    changed = [key for key, was in _founded(old).items() if _founded(new).get(key, was) != was]
    if changed:
        return (
            f"is refused: a cluster keeps its {' and '.join(changed)}. `pulumi destroy` and `pulumi up` found another."
        )
    if why := refused_step(old.rke2.version, new.rke2.version):
        return f"is refused: {why}."
    frozen = [name for name in _FROZEN if getattr(old.vm, name) != getattr(new.vm, name)]
    if frozen or old.role != new.role:
        what = ", ".join([*frozen, *(["role"] if old.role != new.role else [])]).replace("_", " ")
        return f"stays, but Azure or the cluster refuses this change ({what}): change its `rebuild` with it."
    return None


def _founded(node: NodePlan) -> dict[str, str]:
    """What a server's cluster keeps for life (`machine.kubernetes.founding`)."""
    network = {"network.podCidr": node.network.pod_cidr, "network.serviceCidr": node.network.service_cidr}
    return {**network, "rke2.cni": node.rke2.cni} if node.role == "server" else {}


def _reboot(old: NodePlan, new: NodePlan) -> str | None:
    """Why the machine reboots: what a kernel module in use does not give up, or a GPU before Hopper."""
    if old.driver and new.driver and new.driver.source == "ubuntu" and old.driver != new.driver:
        if old.driver.model_copy(update={"update": new.driver.update}) == new.driver:
            return (
                f"it takes the newest driver of branch {new.driver.branch}, and reboots only if Ubuntu has another one"
            )
        return "its kernel runs the old driver until then"
    needs = new.layout is not None and new.layout.model.mode_needs_reboot
    return "this GPU changes its MIG mode on a reboot" if needs and _modes(old) != _modes(new) else None


def _pods_at_reboot(old: NodePlan, new: NodePlan) -> str:
    if old.driver == new.driver:
        return "All its pods restart."
    if new.on_change == "refuse":
        return "All its pods restart; where some of users run on it, `pulumi up` stops before (`mig.onChange: refuse`)."
    return "All its pods restart; those of users are evicted first (`mig.onChange: drain`)."


def _modes(node: NodePlan) -> tuple[bool, ...]:
    return node.layout.modes if node.layout else ()


def _restart(old: NodePlan, new: NodePlan) -> str | None:
    """Why RKE2 restarts: its stage does it for another version, and for any other configuration."""
    if old.rke2.version != new.rke2.version:
        saved = ", after a snapshot of etcd" if new.role == "server" else ""
        return f"RKE2 goes from {old.rke2.version} to {new.rke2.version}: it restarts once{saved}"
    return "RKE2 restarts once" if _rke2_config(old) != _rke2_config(new) else None


def _rke2_config(node: NodePlan) -> dict[str, object]:
    return rke2.config(node, Addresses(public="", private=""))
