"""The layout: which GPU instances all GPUs of a machine shall have. Also what nvidia-smi shows is told in its terms.

An empty GPU gets each instance at its place. On one that has instances the machine chooses the places, so that as many
as can be stay; it remembers them in the same form, so that a boot brings each back to where it was.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from machine.documents.form import Document, Form

PATH = "/etc/mig-k8s/layout.json"
"""The layout that this machine made last, for its boots: no GPU keeps its instances over a reboot."""

OnChange = Literal["refuse", "drain"]
"""What a change does about pods that hold a device which has to go."""


@dataclass(frozen=True, order=True)
class Place(Form):
    """A GPU instance: its profile, such as `3g.40gb`, and the first memory slice it takes."""

    profile: str
    start: int

    def __str__(self) -> str:
        return f"{self.profile} at {self.start}"


@dataclass(frozen=True)
class GpuLayout(Form):
    """One GPU: MIG mode off, or on with these instances. `index` is that of nvidia-smi."""

    index: int
    mode: bool
    instances: tuple[Place, ...] = ()

    def __post_init__(self) -> None:
        if self.instances and not self.mode:
            raise ValueError(f"GPU {self.index} has instances without MIG mode")

    @property
    def profiles(self) -> dict[str, int]:
        """Profile → how many of it, in the order in which they stand here."""
        names = [place.profile for place in self.instances]
        return {name: names.count(name) for name in dict.fromkeys(names)}


@dataclass(frozen=True)
class Layout(Document):
    """All GPUs of a machine. Profiles are named, because ids differ between GPU models; the machine looks them up."""

    NAME: ClassVar[str] = "the layout"

    gpus: tuple[GpuLayout, ...]
    on_change: OnChange = "refuse"

    def __post_init__(self) -> None:
        if len({gpu.index for gpu in self.gpus}) != len(self.gpus):
            raise ValueError("a GPU is named twice")
