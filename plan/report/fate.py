"""What becomes of a machine that a change touches, in words and by what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from plan.founding import way_out
from plan.machine import rke2
from plan.machine.addresses import Addresses
from plan.machine.node import NodePlan


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


def fate(old: NodePlan, new: NodePlan, *, refused: Sequence[str] = ()) -> Fate:
    """Of a machine that is there before and after. `refused`: the keys whose old value it keeps (`plan.founding`)."""
    if refused:
        keys = " and ".join(f"`{key.removeprefix('mig-k8s:')}`" for key in refused)
        return Fate(words=f"is refused: it keeps {keys} for life. {way_out(refused)}", cost=Cost.REFUSED)
    if old.vm.rebuild != new.vm.rebuild:
        words = "is replaced: a new machine, everything on the old one is lost."
        return Fate(words=words, cost=Cost.REPLACED, keeps_gpus=False)
    if old.vm.size != new.vm.size:
        words = f"is resized ({old.vm.size} → {new.vm.size}): it stops, starts, and makes its instances again."
        return Fate(words=words, cost=Cost.RESIZED, keeps_gpus=False)
    if why := _reboot(old, new):
        return Fate(words=f"stays, with one reboot: {why}. All its pods restart.", cost=Cost.REBOOTED)
    changes_mode = _modes(old) != _modes(new)
    more = ": this GPU changes its MIG mode at once, without the pods on it" if changes_mode else ""
    if _restarts_rke2(old, new):
        rest = " RKE2 restarts once; its pods go on." if not changes_mode else " RKE2 restarts once."
        cost = Cost.PODS if changes_mode else Cost.RESTARTED
        return Fate(words=f"stays, without a reboot{more}.{rest}", cost=cost)
    return Fate(words=f"stays, without a reboot{more}.", cost=Cost.PODS if changes_mode else Cost.NOTHING)


def _reboot(old: NodePlan, new: NodePlan) -> str | None:
    """Why the machine reboots: what a kernel module in use does not give up, or a GPU before Hopper."""
    if old.driver and new.driver and new.driver.source == "ubuntu" and old.driver != new.driver:
        return "its kernel runs the old driver until then"
    needs = new.layout is not None and new.layout.model.mode_needs_reboot
    return "this GPU changes its MIG mode on a reboot" if needs and _modes(old) != _modes(new) else None


def _modes(node: NodePlan) -> tuple[bool, ...]:
    return node.layout.modes if node.layout else ()


def _restarts_rke2(old: NodePlan, new: NodePlan) -> bool:
    """Its stage restarts it for another version, and for any other configuration."""
    return old.rke2.version != new.rke2.version or _rke2_config(old) != _rke2_config(new)


def _rke2_config(node: NodePlan) -> dict[str, object]:
    return rke2.config(node, Addresses(public="", private="", server=node.joins))
