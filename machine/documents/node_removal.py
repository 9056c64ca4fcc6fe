"""A machine that leaves the cluster: which one, what its pods may expect, and whether it comes back."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from machine.documents.form import Document


@dataclass(frozen=True)
class NodeRemoval(Document):
    """Read on a server. `namespaces` are those whose pods are the cluster's own: they hinder nothing.
    `comes_back`: the machine is rebuilt, and joins again under its name.
    """

    NAME: ClassVar[str] = "the removal of a node"

    node: str
    on_change: Literal["refuse", "drain"]
    namespaces: tuple[str, ...]
    comes_back: bool = False
