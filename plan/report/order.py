"""In which order a change goes through the machines that it disturbs, and how many agents are out at once."""

from collections.abc import Collection

from plan.stack import StackPlan


def order(stack: StackPlan, disturbed: Collection[str]) -> str:
    """A sentence on the order; empty unless an agent and another machine are disturbed."""
    servers = [node.name for node in stack.nodes if node.role == "server" and node.name in disturbed]
    agents = [node.name for node in stack.nodes if node.role == "agent" and node.name in disturbed]
    limit, written = stack.agents_at_once, stack.settings.rollout.agents_at_once
    if limit is None or not agents or len(servers) + len(agents) < 2:
        return ""
    first = "the servers one after the other" if len(servers) > 1 else servers[0] if servers else ""
    then = f"then the {'agents' if len(agents) > 1 else 'agent'}" if first else "the agents"
    at_once = f", no more than {limit} out at once (`rollout.agentsAtOnce: {written}`)" if len(agents) > 1 else ""
    stops = " One that fails stops those after it." if len(agents) > 1 else ""
    return f"Order: {first}{', ' if first else ''}{then}{at_once}.{stops}"
