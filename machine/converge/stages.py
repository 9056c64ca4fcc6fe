"""The stages: their order, time limits and sections of the desired state, and what each of them builds on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from machine.converge.variables import variables
from machine.documents.configuration import RKE2_AGENT_TOKEN_PATH, RKE2_CONFIG_PATH, RKE2_TOKEN_PATH
from machine.documents.form import Form
from machine.host.this_machine import ThisMachine

FOLDER = "stages"
LIBRARY = "library"
"""Folders of a release: the stages' scripts, and what all of them share."""
_NO_GPU = "this machine has no GPU"


@dataclass(frozen=True)
class Stage:
    """One step of a machine's way. `variables` None: nothing to do on this machine, `reason` says why."""

    name: str
    script: Path
    seconds: float
    variables: Mapping[str, str] | None
    files: tuple[Path, ...] = ()
    """What the script reads besides."""
    reason: str = ""
    needs: str | None = None
    """The stage without which this one is not tried."""
    looks_at: tuple[str, ...] = ()
    """Stages whose work this one builds on: whenever one of them has run, this one looks again."""
    asks_pods: bool = False
    """Whether the pods of users are asked before the reboot that it wants. Instances ask those that hold a GPU."""
    is_beside: bool = False
    """Whether it runs while others do: it changes nothing that they or pods use, wants neither turn nor reboot."""

    def wanted(self) -> str:
        """Digest of what is asked of the stage."""
        wanted = None if self.variables is None else dict(self.variables)
        return _digest(json.dumps(wanted, sort_keys=True).encode())

    def inputs(self) -> str:
        """Digest of all that decides what the stage does: what is asked, its script, the files it reads."""
        contents = [path.read_bytes() if path.exists() else b"" for path in (self.script, *self.files)]
        return _digest(self.wanted().encode(), *contents)


def stages(machine: ThisMachine) -> tuple[Stage, ...]:
    """The stages of this machine in their order. Raises UsageError when its desired state cannot be read."""
    desired = machine.desired_state()
    library = tuple(sorted((machine.release / LIBRARY).glob("*.sh")))

    def stage(  # noqa: PLR0913 - each is one property of the stage
        name: str,
        seconds: float,
        section: str,
        form: Form | None,
        *,
        reason: str = "",
        needs: str | None = None,
        looks_at: tuple[str, ...] = (),
        asks_pods: bool = False,
        is_beside: bool = False,
        reads: tuple[Path, ...] = (),
    ) -> Stage:
        wanted = None if form is None else variables(section, form)
        script = machine.release / FOLDER / name
        return Stage(name, script, seconds, wanted, (*library, *reads), reason, needs, looks_at, asks_pods, is_beside)

    no_fabric = _NO_GPU if desired.driver is None else "no NVSwitch joins this machine's GPUs"
    not_ours = _NO_GPU if desired.driver is None else "the GPU Operator's MIG Manager owns MIG here"
    of_rke2 = tuple(map(machine.path, (RKE2_CONFIG_PATH, RKE2_TOKEN_PATH, RKE2_AGENT_TOKEN_PATH)))
    return (
        stage("apt", 900, "apt", desired.apt),
        stage("driver", 2400, "driver", desired.driver, reason=_NO_GPU, asks_pods=True),
        stage(
            "fabric-manager",
            1500,
            "fabric_manager",
            desired.fabric_manager,
            reason=no_fabric,
            needs="driver",
            looks_at=("driver",),
        ),
        stage("toolkit", 1200, "toolkit", desired.toolkit, reason=_NO_GPU),
        stage("mig-mode", 1400, "mig", desired.mig, reason=not_ours, needs="driver"),
        stage("rke2-download", 2400, "rke2", desired.rke2, is_beside=True),
        stage("rke2", 3000, "rke2", desired.rke2, needs="rke2-download", looks_at=("toolkit",), reads=of_rke2),
    )


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
