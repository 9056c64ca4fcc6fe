"""What becomes of a machine that a change touches, in words and by what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from machine.documents.rke2_version import refused_step
from plan.kept_for_life import way_out
from plan.machine import rke2
from plan.machine.addresses import Addresses
from plan.machine.node import NodePlan
from plan.stack_file.values.ssh_keys import body


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
    """What becomes of one machine. `words` continue a sentence after its name; `keeps_gpus`: its instances stay."""

    words: str
    cost: Cost
    keeps_gpus: bool = True


def fate(old: NodePlan, new: NodePlan, *, refused: Sequence[str] = ()) -> Fate:
    """The fate of a machine that stays. `refused`: keys that keep their old value (`plan.kept_for_life`)."""
    if why := _refused(old, new, refused) or _unknown_key(old, new):
        return Fate(words=f"is refused: {why}", cost=Cost.REFUSED)
    if old.vm.rebuild != new.vm.rebuild:
        words = "is replaced: a new machine, everything on the old one is lost."
        return Fate(words=words, cost=Cost.REPLACED, keeps_gpus=False)
    if old.vm.size != new.vm.size:
        words = f"is resized ({old.vm.size} → {new.vm.size}): it stops, starts, and makes its instances again."
        return Fate(words=words, cost=Cost.RESIZED, keeps_gpus=False)
    if why := _reboot(old, new):
        return Fate(words=f"stays, with one reboot: {why}. {_pods_at_reboot(old, new)}", cost=Cost.REBOOTED)
    changes_mode = _modes(old) != _modes(new)
    more = ": this GPU changes its MIG mode at once, when no pod is on it" if changes_mode else ""
    if restart := _restart(old, new):
        rest = f"{restart}." if changes_mode else f"{restart}; its pods go on."
        cost = Cost.PODS if changes_mode else Cost.RESTARTED
        return Fate(words=f"stays, without a reboot{more}. {rest}", cost=cost)
    return Fate(words=f"stays, without a reboot{more}.", cost=Cost.PODS if changes_mode else Cost.NOTHING)


def _refused(old: NodePlan, new: NodePlan, kept: Sequence[str]) -> str | None:
    """Why `pulumi up` ends before anything of the machine is touched."""
    if kept:
        keys = " and ".join(f"`{key.removeprefix('mig-k8s:')}`" for key in kept)
        return f"it keeps {keys} for life. {way_out(kept)}"
    step = refused_step(old.rke2.version, new.rke2.version) if old.vm.rebuild == new.vm.rebuild else None
    return f"{step}." if step else None


def _unknown_key(old: NodePlan, new: NodePlan) -> str | None:
    """Why a machine does not let in the new `ssh.publicKey`: only one that is made anew takes an unknown key."""
    known = map(body, old.vm.public_keys)
    if body(new.vm.public_key) in known or old.vm.rebuild != new.vm.rebuild:
        return None
    return (
        "it does not know the new `ssh.publicKey` yet, and would not let `pulumi up` in. Write it under "
        "`ssh.otherPublicKeys`, `pulumi up`, and make it `publicKey` then."
    )


def _reboot(old: NodePlan, new: NodePlan) -> str | None:
    """Why the machine reboots: the loaded driver is replaced, or a GPU before Hopper changes its MIG mode."""
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
