"""The digest says in which order a change goes through the machines, and how many agents are out at once."""

from collections.abc import Callable

import pytest

from plan import StackPlan
from plan.report.digest import digest

Planned = Callable[..., StackPlan]
NEWER = {"rke2": {"version": "v1.36.4+rke2r1"}}
OLDER = {"rke2": {"version": "v1.36.1+rke2r1"}}
ORDER = (
    "Order: the servers one after the other, then the agents, no more than {} out at once"
    " (`rollout.agentsAtOnce: {}`). One that fails stops those after it.\n"
)


def pools(servers: int, agents: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [{"name": "server", "count": servers, "vmSize": "Standard_D4s_v5"}]
    return [*found, {"name": "gpu", "role": "agent", "count": agents}] if agents else found


@pytest.mark.parametrize(("written", "at_once"), [(1, 1), ("10%", 6)])
def test_an_upgrade_of_sixty_agents_says_how_many_go_at_once(
    planned: Planned, written: int | str, at_once: int
) -> None:
    said = {"nodePools": pools(3, 60), "rollout": {"agentsAtOnce": written}}
    text = digest(planned(**said, **OLDER), planned(**said, **NEWER))
    assert ORDER.format(at_once, written) in text


def test_a_change_of_agents_alone_names_no_servers(planned: Planned) -> None:
    before, after = planned(nodePools=pools(1, 2)), planned(nodePools=pools(1, 2), driver={"branch": 595})
    assert "\nOrder: the agents, no more than 1 out at once (`rollout.agentsAtOnce: 1`). " in digest(before, after)


def test_one_server_and_one_agent_have_an_order_and_no_limit(planned: Planned) -> None:
    text = digest(planned(nodePools=pools(1, 1), **OLDER), planned(nodePools=pools(1, 1), **NEWER))
    assert "\nOrder: server, then the agent.\n" in text


@pytest.mark.parametrize(
    ("count", "change"),
    [((1, 2), {"vm": {"tags": {"a": "b"}}}), ((3, 0), NEWER), ((1, 1), {"driver": {"branch": 595}})],
)
def test_where_there_is_nothing_to_order_nothing_is_said(
    planned: Planned, count: tuple[int, int], change: dict[str, object]
) -> None:
    text = digest(planned(nodePools=pools(*count), **OLDER), planned(nodePools=pools(*count), **{**OLDER, **change}))
    assert "Order:" not in text


def test_another_limit_alone_touches_no_machine(planned: Planned) -> None:
    text = digest(planned(nodePools=pools(1, 3)), planned(nodePools=pools(1, 3), rollout={"agentsAtOnce": 2}))
    assert text.startswith("**Cost:** nothing.\n")
    assert "- `rollout.agentsAtOnce`: 1 → 2\n" in text
    assert "stays" not in text
