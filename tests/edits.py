"""Edits of a stack's node pools, drawn at random, and whom they name."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

Pools = list[dict[str, Any]]
POOLS: Pools = [
    {"name": "control", "vmSize": "Standard_D4s_v5"},
    {"name": "train", "role": "agent", "count": 2, "migDevices": {"3g.40gb": 1, "1g.10gb": 2}},
    {"name": "serve", "role": "agent", "count": 3, "migDevices": {"1g.10gb": 7}},
    {"name": "edge", "role": "agent", "vmSize": "Standard_D4s_v5"},
]
"""One server, six agents; for `mig.strategy: mixed`."""
_LAYOUTS: list[dict[str, int] | None] = [{"7g.80gb": 1}, {"2g.20gb": 3}, {"1g.10gb": 3}, None]


@dataclass(frozen=True)
class Edit:
    """`named`: the machines it is about. Nothing may happen to any other."""

    what: str
    before: Pools
    after: Pools
    named: frozenset[str]


def names(pool: dict[str, Any]) -> set[str]:
    """Literally what docs/config-reference.yaml says."""
    return {pool["name"], *(f"{pool['name']}-{number}" for number in range(1, pool.get("count", 1)))}


def drawn(seed: int, pools: Pools, *kinds: str) -> Edit:
    """Edits of all these kinds at once, or one of any kind; of one seed always the same. The first pool stays first."""
    random = Random(seed)  # noqa: S311 - keeps no secret
    chosen = kinds or (random.choice(list(_EDITS)),)
    after, named = [dict(pool) for pool in pools], set[str]()
    for kind in chosen:
        after, touched = _EDITS[kind](random, after, random.randrange(1, len(after)))
        named |= touched
    return Edit(", ".join(chosen), pools, after, frozenset(named))


def _count(pools: Pools, number: int, count: int) -> tuple[Pools, set[str]]:
    """A pool of another size: those that come or go are named, those that stay are not."""
    old = names(pools[number])
    pools[number]["count"] = count
    return pools, old ^ names(pools[number])


def _grow(random: Random, pools: Pools, agent: int) -> tuple[Pools, set[str]]:
    return _count(pools, agent, pools[agent].get("count", 1) + random.randint(1, 3))


def _shrink(random: Random, pools: Pools, agent: int) -> tuple[Pools, set[str]]:
    return _count(pools, agent, random.randint(1, pools[agent].get("count", 1)))


def _servers(_random: Random, pools: Pools, _agent: int) -> tuple[Pools, set[str]]:
    return _count(pools, 0, 3)


def _insert(random: Random, pools: Pools, agent: int) -> tuple[Pools, set[str]]:
    new = {"name": "newer", "role": "agent", "count": random.randint(1, 2), "migDevices": {"1g.10gb": 7}}
    pools.insert(agent, new)
    return pools, names(new)


def _remove(_random: Random, pools: Pools, agent: int) -> tuple[Pools, set[str]]:
    return pools, names(pools.pop(agent))


def _reorder(random: Random, pools: Pools, _agent: int) -> tuple[Pools, set[str]]:
    return [pools[0], *random.sample(pools[1:], len(pools) - 1)], set()


def _rename(_random: Random, pools: Pools, agent: int) -> tuple[Pools, set[str]]:
    old = names(pools[agent])
    pools[agent]["name"] = "another"
    return pools, old | names(pools[agent])


def _layout(random: Random, pools: Pools, agent: int) -> tuple[Pools, set[str]]:
    if "vmSize" in pools[agent]:  # without a GPU
        pools[agent]["nodeLabels"] = {"example.org/work": "edge"}
    else:
        pools[agent]["migDevices"] = random.choice(_LAYOUTS)
    return pools, names(pools[agent])


_EDITS: dict[str, Callable[[Random, Pools, int], tuple[Pools, set[str]]]] = {
    "grow": _grow,
    "shrink": _shrink,
    "servers": _servers,
    "insert": _insert,
    "remove": _remove,
    "reorder": _reorder,
    "rename": _rename,
    "layout": _layout,
}
