"""A layout that the GPU Operator's MIG Manager makes: by which name, and what the machine's GPUs shall have then."""

from dataclasses import dataclass
from typing import ClassVar

from machine.documents.form import Document
from machine.documents.layout import Layout


@dataclass(frozen=True)
class MigManagerLayout(Document):
    """`config` is the layout's name in MIG Manager's configuration and the value of the label nvidia.com/mig.config.

    `config_map` holds that configuration. MIG Manager chooses the places itself, so of `layout` only modes and profiles
    count here. `seconds`: how long a MIG Manager with that configuration may take to run on the node.
    """

    NAME: ClassVar[str] = "the layout for MIG Manager"

    config: str
    config_map: str
    namespace: str
    """The GPU Operator's."""
    seconds: int
    node: str
    layout: Layout
