"""A pod as it matters to a change of its node: which one it is, and how long it may take to end."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, order=True)
class Pod:
    """A pod of this node; one that its owner makes again under the same name has another `uid`."""

    namespace: str
    name: str
    uid: str
    grace: int = field(compare=False)
    """Seconds that it is given to end. Not 0: with that the API server forgets a pod whose processes still hold a
    device."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, pod: dict[str, Any]) -> "Pod":
        """The pod of an object of the API."""
        meta, grace = pod["metadata"], pod["spec"].get("terminationGracePeriodSeconds", 30)
        return cls(meta["namespace"], meta["name"], meta["uid"], max(1, grace))


def has_ended(pod: dict[str, Any]) -> bool:
    """Whether the processes of a pod have ended, so that it holds nothing any more."""
    return pod["status"].get("phase") in ("Succeeded", "Failed")
