"""Which machines a change makes, removes, touches, refuses, or takes for others. They are the same by their names."""

from collections.abc import Iterator

from plan.founding import changed, kept_by_machine, kept_by_stack
from plan.machine.addresses import Addresses
from plan.machine.configuration import configuration
from plan.machine.node import NodePlan, layout_document
from plan.stack import StackPlan


def touched_machines(old: StackPlan, new: StackPlan) -> list[str]:
    """Those that come or go, are refused, or have anything changed or brought to them; those of the new stack first."""
    before = {node.name: node for node in old.nodes}
    after = {node.name: node for node in new.nodes}
    renamed, refused = renamed_machines(old, new), refused_machines(old, new)
    return [
        name
        for name in {**after, **before}
        if name in refused
        or name not in before
        or name not in after
        # A first server of another name is refused, so nobody joins by it.
        or _reaches(before[name], renamed) != _reaches(after[name], renamed)
    ]


def refused_machines(old: StackPlan, new: StackPlan) -> dict[str, list[str]]:
    """Those that are to have another value of what they keep for life, with its keys."""
    before, of_stack = {node.name: node for node in old.nodes}, changed(kept_by_stack(old), kept_by_stack(new))
    found = {}
    for node in new.nodes:
        if was := before.get(node.name):
            anew = was.vm.rebuild != node.vm.rebuild
            own = [] if anew else changed(kept_by_machine(old, was), kept_by_machine(new, node))
            found[node.name] = [*of_stack, *own]
    return {name: keys for name, keys in found.items() if keys}


def _reaches(node: NodePlan, renamed: dict[str, str]) -> tuple[object, ...]:
    """All that Azure and the machine itself are told of it. How it would leave the cluster is nothing to it."""
    server = None if node.joins is None else renamed.get(node.joins, node.joins)
    files = configuration(node, Addresses(public="", private="", server=server))
    return node.vm, node.dns_label, files, layout_document(node) if node.layout else None, node.mig_owner


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
