"""A machine's identity is its name: the plan of a machine depends on no other machine's number or order."""

from hypothesis import given, settings
from hypothesis import strategies as st
from minimal_stack import SECRETS, addresses, minimal

from edits import POOLS, Edit, Pools, drawn
from plan import NodePlan, StackPlan, configuration, plan_stack, read_settings
from plan.report.digest import digest


def planned(pools: Pools, owner: str) -> StackPlan:
    stack = minimal(nodePools=pools, mig={"strategy": "mixed", "owner": owner})
    return plan_stack(read_settings(stack, location="westeurope", secrets=SECRETS))


def by_name(stack: StackPlan) -> dict[str, NodePlan]:
    return {node.name: node for node in stack.nodes}


def others(edit: Edit, old: StackPlan, new: StackPlan) -> set[str]:
    assert by_name(old).keys() ^ by_name(new).keys() <= edit.named
    return (by_name(old).keys() & by_name(new).keys()) - edit.named


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), owner=st.sampled_from(["host", "operator"]))
def test_who_is_not_named_is_planned_as_before_and_the_digest_does_not_speak_of_it(seed: int, owner: str) -> None:
    edit = drawn(seed, POOLS)
    old, new = planned(edit.before, owner), planned(edit.after, owner)
    text = digest(old, new)
    for name in others(edit, old, new):
        was, becomes = by_name(old)[name], by_name(new)[name]
        assert becomes == was
        assert configuration(becomes, addresses(becomes)) == configuration(was, addresses(was))
        assert new.host_layouts.get(name) == old.host_layouts.get(name)
        if owner == "operator":  # the rest of it names the configuration of all pools together
            for key in ("config", "layout"):
                one, other = (getattr(stack.mig_manager_layouts.get(name), key, None) for stack in (old, new))
                assert one == other
        assert f"**{name}**" not in text
    assert new.network == old.network
    for name in by_name(new).keys() - by_name(old).keys():
        assert f"**{name}** is new" in text
    for name in by_name(old).keys() - by_name(new).keys():
        assert f"**{name}** is removed" in text


def test_the_edits_that_are_drawn_name_machines_as_the_plan_does() -> None:
    assert set(by_name(planned(POOLS, "host"))) == {
        "control",
        "train",
        "train-1",
        "serve",
        "serve-1",
        "serve-2",
        "edge",
    }


def test_a_first_agent_changes_nothing_of_a_lone_machine() -> None:
    alone, two = planned(POOLS[:1], "host"), planned([POOLS[0], POOLS[3]], "host")
    assert by_name(two)["control"] == by_name(alone)["control"]
