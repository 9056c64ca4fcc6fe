"""Which machines a change makes, removes, touches, refuses, or takes for others. A machine is known by its name."""

from collections.abc import Iterator
from dataclasses import dataclass

from plan.kept_for_life import changed, kept_by_machine, kept_by_stack
from plan.machine.addresses import Addresses
from plan.machine.configuration import configuration
from plan.machine.node import NodePlan, layout_document
from plan.stack import StackPlan
from plan.stack_file.values.ssh_keys import body


def touched_machines(old: StackPlan, new: StackPlan) -> list[str]:
    """The machines that come, go, are refused, or get any change; those of the new stack first."""
    before = {node.name: node for node in old.nodes}
    after = {node.name: node for node in new.nodes}
    refused = refused_machines(old, new)
    return [
        name
        for name in {**after, **before}
        if name in refused or name not in before or name not in after or _reaches(before[name]) != _reaches(after[name])
    ]


def refused_machines(old: StackPlan, new: StackPlan) -> dict[str, list[str]]:
    """The machines that are to have another value of what they keep for life, each with the keys."""
    before, of_stack = {node.name: node for node in old.nodes}, changed(kept_by_stack(old), kept_by_stack(new))
    found = {}
    for node in new.nodes:
        if was := before.get(node.name):
            anew = was.vm.rebuild != node.vm.rebuild
            own = [] if anew else changed(kept_by_machine(old, was), kept_by_machine(new, node))
            found[node.name] = [*of_stack, *own]
    return {name: keys for name, keys in found.items() if keys}


def protected_machines(old: StackPlan, new: StackPlan) -> set[str]:
    """The protected machines that would be removed or made anew, which the engine refuses.

    Whether a machine is protected, the new program says where it still has that machine, and else the state.
    """
    after = {node.name: node for node in new.nodes}
    renamed = renamed_machines(old, new).values()
    return {
        node.name
        for node in old.nodes
        if old.protected and node.name not in renamed
        if node.name not in after or (new.protected and after[node.name].vm.rebuild != node.vm.rebuild)
    }


def _reaches(node: NodePlan) -> tuple[object, ...]:
    """All that Azure and the machine itself are told of it. How it would leave the cluster is told to neither."""
    files = configuration(node, Addresses(public="", private=""))
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


def refused_changes(old: StackPlan, new: StackPlan) -> dict[str, str]:
    """A sentence for each machine that cannot be taken for another one, removed or made anew."""
    renamed = {name: _refused_name(name, was) for name, was in renamed_machines(old, new).items()}
    return renamed | {name: _protected(name) for name in protected_machines(old, new)}


def _refused_name(name: str, old_name: str) -> str:
    return (
        f"**{name}** is called {old_name} in Azure, and a machine keeps its name: `pulumi up` refuses this. "
        f"Write `firstMachine: {old_name}`."
    )


def _protected(name: str) -> str:
    return (
        f"**{name}** is refused: `vm.protect` keeps machines from being removed or made anew. To do it all the same: "
        "`vm.protect: false` and nothing else, `pulumi up`, then this."
    )


def api_address(old: StackPlan, new: StackPlan) -> Iterator[str]:
    """What it means for those who use the API when a load balancer comes or goes."""
    again = "Fetch the kubeconfig again."
    if new.balanced_servers and not old.balanced_servers:
        yield f"The servers get a load balancer, which costs money; the API is at its address from now on. {again}"
    elif old.balanced_servers and not new.balanced_servers:
        yield f"The load balancer is removed; the API is at the address of **{new.servers[0]}** from now on. {again}"


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """What a change would do to the cluster as a whole: `pulumi up` refuses it, or the cluster is lost."""

    cost: str
    words: str


def end_of_the_cluster(old: StackPlan, new: StackPlan) -> End | None:
    """The end of the cluster; None where it goes on, whichever server is first, or the engine protects its servers."""
    renamed = renamed_machines(old, new)
    if protected_machines(old, new) & set(old.servers):
        return None
    if not {renamed.get(name, name) for name in new.servers} & set(old.servers):
        words = (
            f"No server of the cluster stays: `pulumi up` refuses to remove {', '.join(old.servers)}. Keep one, or "
            "`pulumi destroy` the stack."
        )
        return End(cost="**`pulumi up` refuses it**", words=words)
    name = old.servers[0]
    texts = {node.vm.rebuild for stack in (old, new) for node in stack.nodes if node.name == name}
    if len(old.servers) > 1 or len(texts) == 1:
        return None
    if old.founds_with_every_machine:
        words = f"**The cluster is lost**: **{name}**, its only server, is made anew and founds an empty one."
        return End(cost="**the cluster is lost**", words=words)
    words = (
        f"**{name}** is the only server: `pulumi up` refuses to rebuild it, because the cluster would be lost. To lose "
        "it: `clusterMayBeLost: true`, `pulumi up`, and rebuild it then."
    )
    return End(cost="**`pulumi up` refuses it**", words=words)


def logins(old: StackPlan, new: StackPlan) -> Iterator[str]:
    """What a change of the administrators' keys means for those who log in, this program first."""
    before, after = old.nodes[0].vm, new.nodes[0].vm  # all machines have the same
    was, now = body(before.public_key), body(after.public_key)
    if now not in map(body, before.public_keys):
        return  # which is refused, but by machines that are made now
    if was != now:
        yield (
            "`pulumi up` logs in by another key from now on: set its private half with it, as the secret sshPrivateKey "
            "or in the agent. All that it runs on machines is run once more, and changes nothing."
        )
    if was not in map(body, after.public_keys):
        yield (
            "The key by which `pulumi up` logged in until now is no longer let in. What is removed or rebuilt in "
            "the same `pulumi up` still leaves by it: keep it under `ssh.otherPublicKeys` until the next one."
        )
