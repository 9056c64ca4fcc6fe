"""The addresses that the cloud chooses for a machine, and that the machine's files contain."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Addresses:
    """IPv4 addresses, as text. A rebuilt machine keeps its own: they belong to its interface."""

    public: str
    private: str
