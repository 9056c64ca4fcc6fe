"""NVIDIA's tables of MIG profiles, and every state that a GPU can have by them.

Nothing here uses the program's own solver or catalogue: it is the measure for them.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from typing import NamedTuple

State = frozenset[tuple[str, int]]
"""Profile and start of every instance of a GPU."""
Wanted = frozenset[tuple[str, int]]
"""Profile and how many of it."""


class Row(NamedTuple):
    """A profile in NVIDIA's tables (MIG User Guide; `nvidia-smi mig -lgip` and `-lgipp`)."""

    name: str
    size: int
    compute: int
    starts: tuple[int, ...]
    most: int


_EIGHT_SLICES = (
    (8, 7, (0,), 1),
    (4, 4, (0,), 1),
    (4, 3, (0, 4), 2),
    (2, 2, (0, 2, 4), 3),
    (2, 1, (0, 2, 4, 6), 4),
    (1, 1, (0, 1, 2, 3, 4, 5, 6), 7),
    (1, 1, (0, 1, 2, 3, 4, 5, 6), 1),
)
_FOUR_SLICES = (
    (4, 4, (0,), 1),
    (2, 2, (0, 2), 2),
    (2, 2, (0, 2), 1),
    (1, 1, (0, 1, 2, 3), 4),
    (1, 1, (0, 1, 2, 3), 1),
)
_NAMES = {
    "A100-40GB": "7g.40gb 4g.20gb 3g.20gb 2g.10gb 1g.10gb 1g.5gb 1g.5gb+me",
    "A100-80GB": "7g.80gb 4g.40gb 3g.40gb 2g.20gb 1g.20gb 1g.10gb 1g.10gb+me",
    "H100-80GB": "7g.80gb 4g.40gb 3g.40gb 2g.20gb 1g.20gb 1g.10gb 1g.10gb+me",
    "H100-NVL-94GB": "7g.94gb 4g.47gb 3g.47gb 2g.24gb 1g.24gb 1g.12gb 1g.12gb+me",
    "H200-141GB": "7g.141gb 4g.71gb 3g.71gb 2g.35gb 1g.35gb 1g.18gb 1g.18gb+me",
    "A30-24GB": "4g.24gb 2g.12gb 2g.12gb+me 1g.6gb 1g.6gb+me",
}
MODELS = tuple(_NAMES)


def table(model: str) -> tuple[Row, ...]:
    """The profiles of a GPU model, largest first."""
    rows = _FOUR_SLICES if model == "A30-24GB" else _EIGHT_SLICES
    return tuple(Row(name, *row) for name, row in zip(_NAMES[model].split(), rows, strict=True))


def wanted(state: State) -> Wanted:
    """The layout that a state is one placement of."""
    return frozenset(Counter(name for name, _ in state).items())


@dataclass(frozen=True)
class Every:
    """Every state of a GPU model: by its layout, and what each leaves creatable, largest profile first."""

    by_layout: dict[Wanted, list[State]] = field(default_factory=dict)
    left: dict[State, tuple[int, ...]] = field(default_factory=dict)

    def best(self, layout: Wanted, there: State, held: State = frozenset()) -> tuple[int, int, tuple[int, ...]]:
        """What no placement of the layout surpasses: held instances kept, instances kept, what is left creatable."""
        return max((len(s & held), len(s & there), self.left[s]) for s in self.by_layout[layout])


@cache
def every(model: str) -> Every:
    """All states of a GPU model: places are taken or left one by one, as long as NVIDIA's limits hold."""
    rows = {row.name: row for row in table(model)}
    places = [(row.name, start) for row in rows.values() for start in row.starts]
    compute = max(row.compute for row in rows.values())
    found: list[State] = []

    def fits(state: State) -> bool:
        taken = [piece for name, start in state for piece in range(start, start + rows[name].size)]
        return (
            len(taken) == len(set(taken))
            and sum(rows[name].compute for name, _ in state) <= compute
            and sum(name.endswith("+me") for name, _ in state) <= 1
            and all(count <= rows[name].most for name, count in wanted(state))
        )

    def take(number: int, state: State) -> None:
        if number == len(places):
            found.append(state)
            return
        take(number + 1, state)
        if fits(larger := state | {places[number]}):
            take(number + 1, larger)

    take(0, frozenset())
    made = Every()
    more: dict[State, dict[str, int]] = {state: {} for state in found}
    for state in found:
        made.by_layout.setdefault(wanted(state), []).append(state)
        for name in rows:
            alike = [place for place in state if place[0] == name]
            for count in range(1, len(alike) + 1):
                for some in combinations(alike, count):
                    fewer = more[state.difference(some)]
                    fewer[name] = max(count, fewer.get(name, 0))
    made.left.update({state: tuple(counts.get(name, 0) for name in rows) for state, counts in more.items()})
    return made
