"""Which machines a change makes, removes, touches, or takes for others. They are the same by their names."""

from collections.abc import Iterator
from dataclasses import replace

from plan.stack import StackPlan


def touched_machines(old: StackPlan, new: StackPlan) -> list[str]:
    """Those that come or go, and those of which anything is planned in another way; those of the new stack first."""
    before = {node.name: node for node in old.nodes}
    after = {node.name: node for node in new.nodes}
    renamed, moved = renamed_machines(old, new), old.location != new.location
    # A first server of another name is refused, so nobody joins by it.
    after = {name: replace(node, joins=renamed.get(node.joins or "", node.joins)) for name, node in after.items()}
    return [name for name in {**after, **before} if moved or before.get(name) != after.get(name)]


def untouched_machines(old: StackPlan, new: StackPlan) -> Iterator[str]:
    """A sentence on those that stay as they are, if there are any."""
    touched = touched_machines(old, new)
    count = sum(node.name not in touched for node in new.nodes)
    if count and not touched:
        yield "No machine is touched."
    elif count:
        yield "The other machine is not touched." if count == 1 else f"The other {count} machines are not touched."


def renamed_machines(old: StackPlan, new: StackPlan) -> dict[str, str]:
    """New name → old name of machines that only `firstMachine` calls by another one."""
    before, after = ({node.name for node in stack.nodes} for stack in (old, new))
    return {
        name: other
        for name, other in new.other_names.items()
        if name not in before and other in before and other not in after
    }


def refused_name(name: str, old_name: str) -> str:
    """What becomes of such a machine."""
    return (
        f"**{name}** is called {old_name} in Azure, and a machine keeps its name: `pulumi up` refuses this. "
        f"Write `firstMachine: {old_name}`."
    )


def api_address(old: StackPlan, new: StackPlan) -> Iterator[str]:
    """What it means for those who use the API when a load balancer comes or goes."""
    again = "Fetch the kubeconfig again."
    if new.balanced_servers and not old.balanced_servers:
        yield f"The servers get a load balancer, which costs money; the API is at its address from now on. {again}"
    elif old.balanced_servers and not new.balanced_servers:
        yield f"The load balancer goes; the API is at the address of **{new.nodes[0].name}** from now on. {again}"


def first_server(old: StackPlan, new: StackPlan) -> Iterator[str]:
    """What it means when another server is the first: it forms a cluster of its own."""
    was, becomes = old.nodes[0].name, new.nodes[0].name
    if was == becomes or becomes in renamed_machines(old, new):
        return
    if any(node.name == was for node in new.nodes):
        yield (
            f"**The cluster is lost**: **{becomes}** would be the first server and form a second one, and the others "
            f"would join that. Keep the pool of **{was}** first."
        )
    else:
        yield f"**The cluster is lost**: its first server **{was}** goes, and **{becomes}** forms a new one."
