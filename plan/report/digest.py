"""What a change of the stack file does, per machine and GPU: short enough for a comment on a pull request."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from machine.documents.layout import GpuLayout, Place
from plan.gpu.catalogue import GpuModel
from plan.gpu.layout import Layout
from plan.gpu.nearest import written
from plan.gpu.placement import placement_after
from plan.machine.node import NodePlan
from plan.report.fate import Cost, fate
from plan.report.membership import (
    End,
    api_address,
    end_of_the_cluster,
    logins,
    refused_changes,
    refused_machines,
    renamed_machines,
    touched_machines,
    untouched_machines,
)
from plan.report.order import order
from plan.secret_values import marked
from plan.stack import StackPlan

_DISTURBING = (Cost.REBOOTED, Cost.PODS, Cost.RESTARTED)
"""What takes a turn on an agent."""


def digest(old: StackPlan, new: StackPlan) -> str:
    """Markdown: what it costs, changed settings, then every machine that is touched. `old` and `new` are whole plans.

    Machines are the same by their names, wherever their pool stands.
    """
    settings = list(_changed(_settings(old), _settings(new), ""))
    if not settings:
        return "Nothing changes.\n"
    before = {node.name: node for node in old.nodes}
    after = {node.name: node for node in new.nodes}
    machines, end = _machines(old, new), end_of_the_cluster(old, new)
    lines = [f"**Cost:** {_cost(machines, end)}.", "", "**Settings**", "", *(f"- {line}" for line in settings)]
    refused = refused_machines(old, new)
    lines += ["", end.words] if end else []
    refusals, gone = refused_changes(old, new), renamed_machines(old, new).values()
    for name in touched_machines(old, new):
        if name in refusals:
            lines += ["", refusals[name]]
        elif name not in gone:
            lines += ["", *_machine(before.get(name), after.get(name), refused.get(name, ()))]
    disturbed = [name for cost in _DISTURBING for name in machines[cost]]
    lines += ["", said] if (said := order(new, disturbed)) else []
    lines += [
        line
        for text in (*untouched_machines(old, new), *api_address(old, new), *logins(old, new))
        for line in ("", text)
    ]
    if old.mig_strategy != new.mig_strategy:
        lines += ["", f"Pods ask for other resources from now on: strategy {old.mig_strategy} → {new.mig_strategy}."]
    return "\n".join(lines) + "\n"


def _cost(machines: dict[Cost, list[str]], end: End | None) -> str:
    """What the change costs, worst first, with the machines that each cost concerns."""
    said = [f"{cost.value}: {', '.join(names)}" for cost, names in machines.items() if names and cost != Cost.NOTHING]
    return "; ".join([*([end.cost] if end else []), *said]) or "nothing"


def _machines(old: StackPlan, new: StackPlan) -> dict[Cost, list[str]]:
    """The machines that each cost concerns."""
    before = {node.name: node for node in old.nodes}
    after = {node.name: node for node in new.nodes}
    refused, refusals = refused_machines(old, new), refused_changes(old, new)
    gone = renamed_machines(old, new).values()
    machines: dict[Cost, list[str]] = {cost: [] for cost in Cost}
    for name in touched_machines(old, new):
        if name in refusals:
            machines[Cost.REFUSED].append(name)
        elif name not in after and name not in gone:
            machines[Cost.REMOVED].append(name)
        elif name in before and name in after:
            cost = fate(before[name], after[name], refused=refused.get(name, ())).cost
            machines[cost].append(name)
            if cost in (Cost.RESTARTED, Cost.NOTHING) and _removed(before[name], after[name]):
                machines[Cost.PODS].append(name)
    return machines


def _settings(stack: StackPlan) -> dict[str, Any]:
    told = stack.settings.model_dump(by_alias=True)
    told["gpuOperator"]["values"] = marked(told["gpuOperator"]["values"])
    return told


def _changed(old: Any, new: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - any value of a stack file
    if isinstance(old, dict) and isinstance(new, dict) and not path.endswith("igDevices"):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _changed(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif path == "nodePools":
        yield from _changed_pools({pool["name"]: pool for pool in old}, {pool["name"]: pool for pool in new})
    elif isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _changed(one, other, f"{path}[{number}]")
    elif old != new:
        yield f"`{path}`: {_text(old)} → {_text(new)}"


def _changed_pools(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    if list(old) != list(new):
        yield f"`nodePools`: [{', '.join(old)}] → [{', '.join(new)}]"
    for index, name in enumerate(new):
        if name in old:
            yield from _changed(old[name], new[name], f"nodePools[{index}]")


def _text(value: Any) -> str:  # noqa: ANN401 - any value of a stack file
    if value is None:
        return "(not set)"
    if isinstance(value, dict) and all(isinstance(count, int) for count in value.values()):
        return written(value)
    if isinstance(value, tuple):
        return (
            "["
            + ", ".join(item["name"] if isinstance(item, dict) and "name" in item else str(item) for item in value)
            + "]"
        )
    return str(value)


def _machine(old: NodePlan | None, new: NodePlan | None, refused: Sequence[str]) -> Iterator[str]:
    if new is None:
        assert old is not None  # noqa: S101 - the name came from one of the two
        yield f"**{old.name}** is removed, with everything on it{_before_removal(old)}."
        return
    if old is None:
        yield f"**{new.name}** is new: {new.vm.size}, {new.role}."
        yield from _gpus((), new.layout, by_manager=False)
        return
    becomes = fate(old, new, refused=refused)
    yield f"**{new.name}** {becomes.words}"
    if becomes.cost is Cost.REFUSED:
        return
    before = old.layout.gpus if old.layout and becomes.keeps_gpus else ()
    yield from _gpus(before, new.layout, by_manager=new.mig_owner == "operator")
    if becomes.keeps_gpus:
        yield from _pods(old, new)
        yield from _owner(old, new)


def _before_removal(old: NodePlan) -> str:
    if old.on_change == "refuse":
        return "; where pods of users run on it, `pulumi up` stops before that (`mig.onChange: refuse`)"
    return "; its pods are evicted first (`mig.onChange: drain`)"


def _gpus(old: tuple[GpuLayout, ...], new: Layout | None, *, by_manager: bool) -> Iterator[str]:
    if new is None:
        return
    before = {gpu.index: gpu for gpu in old}
    for gpu in new.gpus:
        was = before.get(gpu.index, GpuLayout(index=gpu.index, mode=gpu.mode))
        kept, made, removed = compare(new.model, was, gpu, by_manager=by_manager)
        parts = [
            f"{verb} {', '.join(f'{count} × {name}' for name, count in Counter(i.profile for i in group).items())}"
            for verb, group in (("keeps", kept), ("removes", removed), ("makes", made))
            if group
        ]
        mode = "" if was.mode == gpu.mode else f"MIG {'on' if gpu.mode else 'off'}; "
        if parts or mode:
            yield f"- GPU {gpu.index}: {mode}{'; '.join(parts) or 'no instances'}"


def compare(
    model: GpuModel, old: GpuLayout, new: GpuLayout, *, by_manager: bool = False
) -> tuple[tuple[Place, ...], tuple[Place, ...], tuple[Place, ...]]:
    """The numbers of instances (kept, made, removed), beginning at the places of `old`; as many as can stay do.

    MIG Manager (`by_manager`) does not look at places: a GPU without the right profiles is made anew as a whole.
    """
    if by_manager:
        alike = Counter(i.profile for i in old.instances) == Counter(i.profile for i in new.instances)
        return (new.instances, (), ()) if alike else ((), new.instances, old.instances)
    after = placement_after(model, old, new)
    kept = tuple(instance for instance in after if instance in old.instances)
    made = tuple(instance for instance in after if instance not in old.instances)
    removed = tuple(instance for instance in old.instances if instance not in after)
    return kept, made, removed


def _removed(old: NodePlan, new: NodePlan) -> int:
    """How many instances go, where nothing worse happens to all of them."""
    if old.layout is None or new.layout is None or old.layout.modes != new.layout.modes:
        return 0
    by_manager, model = new.mig_owner == "operator", new.layout.model
    pairs = zip(old.layout.gpus, new.layout.gpus, strict=False)
    return sum(len(compare(model, was, gpu, by_manager=by_manager)[2]) for was, gpu in pairs)


def _pods(old: NodePlan, new: NodePlan) -> Iterator[str]:
    if removed := _removed(old, new):
        refuses = new.on_change == "refuse"
        does = "the change stops before it touches them" if refuses else "they are evicted first"
        yield f"- Pods on the {removed} removed devices: {does} (`mig.onChange: {new.on_change}`)."
        if new.mig_owner == "host":
            yield (
                "- Counted from the old file's places. The machine keeps first what pods hold; "
                "`sudo mig-k8s apply --dry-run` there says it exactly."
            )


def _owner(old: NodePlan, new: NodePlan) -> Iterator[str]:
    """What becomes of the instances that the other owner made, wherever it has put them."""
    if old.mig_owner == "host" and new.mig_owner == "operator":
        yield "- MIG Manager takes over the instances: a GPU that has the right ones is not touched."
    if old.mig_owner == "operator" and new.mig_owner == "host":
        yield "- The host takes over the instances: as many as can stay do, wherever MIG Manager has put them."
        if old.layout and new.layout and old.layout.modes != new.layout.modes:
            yield "- MIG Manager may set the old MIG mode again meanwhile: change `mig.owner` first, then the layout."
