"""Whoever is not named by an edit of the node pools is left as it is: in the real program, every input of it."""

from dataclasses import replace
from typing import Any

import pytest

from edits import POOLS, Edit, Pools, drawn
from recording import Graph
from stacks import main_program

_POOLS: Pools = [{key: value for key, value in pool.items() if key != "count"} for pool in POOLS]
"""A machine of each: a run takes half a second of a processor for three, and more than twice that for six."""
_FREE = (("converge", "create"), ("removal", "connection"), ("rebuild", "connection"))
_GRAPHS: dict[str, Graph] = {}


def run(pools: Pools) -> Graph:
    """The graph of these pools; none is made twice."""
    if repr(pools) not in _GRAPHS:
        replaced = {"nodePools": pools, "mig": {"strategy": "mixed"}}
        _GRAPHS[repr(pools)] = main_program("Pulumi.dev.yaml", preview=False, replaced=replaced)
    return _GRAPHS[repr(pools)]


def inputs(graph: Graph, machine: str) -> dict[str, dict[str, Any]]:
    """The inputs of everything that belongs to a machine, by URN: its components have its name, and have children.

    But not on which server it is taken out of the cluster, should it go or be rebuilt: nobody is dialled when that
    changes, and from three servers on it does not change any more. Nor by which addresses a machine could join, which
    its command ignores unless it is made anew.
    """
    own = {each.urn for each in graph.resources if each.name == machine and each.type.startswith("mig-k8s:")}
    assert len(own) >= 3, f"{machine} has no resources"
    belonging = [each for each in graph.resources if each.urn in own or each.request.parent in own]
    free = {(f"{machine}-{part}", key) for part, key in _FREE}
    assert "create" in graph.one(f"{machine}-converge").request.ignoreChanges
    return {
        each.urn: {key: value for key, value in each.inputs.items() if (each.name, key) not in free}
        for each in belonging
    }


def of_the_network(graph: Graph) -> dict[str, dict[str, Any]]:
    return {each.urn: each.inputs for each in graph.resources if each.name.startswith("network")}


def machines(graph: Graph) -> set[str]:
    return {each.name for each in graph.of("Machine")}


def require_others_untouched(edit: Edit, before: Graph, after: Graph) -> None:
    assert machines(before) ^ machines(after) <= edit.named
    others = (machines(before) & machines(after)) - edit.named
    assert others
    for machine in others:
        assert inputs(after, machine) == inputs(before, machine), f"{edit.what}: {machine}"
    assert of_the_network(after) == of_the_network(before), "a machine that comes or goes is nothing to the network"


# Several edits in a run. One at a time, of a larger stack, the plan is held to the same in tests/unit/test_identity.py.
@pytest.mark.parametrize("kinds", [("servers", "layout", "insert", "reorder"), ("grow", "rename", "remove", "reorder")])
def test_edits_change_no_input_of_a_machine_that_they_do_not_name(kinds: tuple[str, ...]) -> None:
    edit = drawn(5, _POOLS, *kinds)
    assert len(edit.named) >= 3
    require_others_untouched(edit, run(edit.before), run(edit.after))


def test_the_property_notices_a_machine_that_is_touched() -> None:
    """The machine whose layout changes is taken for one that nobody named."""
    edit = drawn(5, _POOLS, "servers", "layout", "insert", "reorder")
    come = frozenset(machines(run(edit.after)) - machines(run(edit.before)))
    with pytest.raises(AssertionError, match="servers, layout, insert, reorder: "):
        require_others_untouched(replace(edit, named=come), run(edit.before), run(edit.after))
