"""Layouts against the GPUs they are for, and against the strategy."""

from collections.abc import Iterator, Mapping

from plan.gpu.catalogue import GpuModel, gpu_models
from plan.gpu.nearest import refusal, written
from plan.gpu.placement import best_placement
from plan.problems import Problem, Refusal
from plan.stack_file.node_pool import NodePool
from plan.stack_file.settings import Settings


def layouts_that_do_not_fit(settings: Settings) -> Iterator[Problem]:
    """Layouts for GPUs that are not there, of profiles they do not have, or with no room for all instances."""
    for index, pool in enumerate(settings.node_pools):
        path = f"mig-k8s:nodePools[{index}]"
        yield from _gpus_named_wrongly(path, pool)
        for where, wanted in pool.written_layouts:
            model = pool.size.gpu
            found = _misfit(model, wanted) if model else Refusal(
                f"{pool.vm_size} has no GPU", remedy="Leave it out, or choose a size with a GPU."
            )  # fmt: skip
            if found is not None:
                yield found.at(f"{path}.{where}", written(wanted))


def _gpus_named_wrongly(path: str, pool: NodePool) -> Iterator[Problem]:
    if pool.gpus is None:
        return
    if pool.mig_devices is not None:
        yield Refusal(
            "gpus already gives the layout of each GPU", remedy="Keep migDevices (all GPUs alike) or gpus, not both."
        ).at(f"{path}.migDevices", written(pool.mig_devices))
    seen: set[int] = set()
    for number, entry in enumerate(pool.gpus):
        where = f"{path}.gpus[{number}].devices"
        beyond = [device for device in entry.devices if device >= pool.size.gpu_count]
        twice = sorted({device for device in entry.devices if device in seen or entry.devices.count(device) > 1})
        seen.update(entry.devices)
        if beyond and pool.size.gpu is not None:
            allowed = ", ".join(str(device) for device in range(pool.size.gpu_count))
            yield Refusal(f"{pool.vm_size} has no GPU {beyond[0]}", allowed=allowed).at(where, str(list(entry.devices)))
        if twice:
            yield Refusal(f"GPU {twice[0]} has a layout already", remedy="Name each GPU once.").at(
                where, str(list(entry.devices))
            )


def _misfit(model: GpuModel, wanted: Mapping[str, int]) -> Refusal | None:
    for name in wanted:
        if model.profile(name) is None:
            return _foreign_profile(model, name)
    return None if best_placement(model, wanted) is not None else refusal(model, wanted)


def _foreign_profile(model: GpuModel, name: str) -> Refusal:
    owners = [other for other in gpu_models().values() if other.profile(name)]
    allowed = ", ".join(profile.name for profile in model.profiles)
    if not owners:
        return Refusal(f"{model.title} has no profile {name}", allowed=allowed)
    foreign = owners[0].profile(name)
    alike = [p.name for p in model.profiles if foreign and p.compute_slices == foreign.compute_slices]
    meant = next((p for p in alike if foreign and model.profile(p) and _same_kind(model, p, owners[0], name)), None)
    titles = " and ".join(owner.title for owner in owners)
    return Refusal(
        f"{model.title} has no profile {name}; it is one of {titles}",
        allowed=allowed,
        remedy=f"Write {meant}." if meant else "",
    )


def _same_kind(model: GpuModel, name: str, other_model: GpuModel, other_name: str) -> bool:
    mine, other = model.profile(name), other_model.profile(other_name)
    return (
        mine is not None
        and other is not None
        and (mine.compute_slices, mine.memory_slices) == (other.compute_slices, other.memory_slices)
        and mine.has_media_extensions == other.has_media_extensions
    )


def layouts_against_strategy(settings: Settings) -> Iterator[Problem]:
    """Layouts that the device plugin would not advertise under the chosen strategy."""
    strategy = settings.mig.strategy
    for index, pool in enumerate(settings.node_pools):
        if pool.size.gpu is None:
            continue
        layouts = [pool.wanted(gpu) for gpu in range(pool.size.gpu_count)]
        found = {"none": _none, "single": _single, "mixed": _mixed}[strategy](layouts)
        if found is not None:
            where = "gpus" if pool.gpus is not None else "migDevices"
            yield found.at(f"mig-k8s:nodePools[{index}].{where}", "; ".join(_shown(layout) for layout in layouts))


def _shown(layout: Mapping[str, int] | None) -> str:
    return "(MIG off)" if layout is None else written(layout)


def _none(layouts: list[dict[str, int] | None]) -> Refusal | None:
    if not any(sum(layout.values()) for layout in layouts if layout):
        return None
    return Refusal(
        "strategy none advertises whole GPUs only; these instances would never be given to a pod",
        allowed="no migDevices (MIG off) or {} (MIG on, no instances)",
        remedy="Write mig: {strategy: mixed} to have each profile as its own resource, or leave migDevices out.",
    )


def _single(layouts: list[dict[str, int] | None]) -> Refusal | None:
    if all(layout is None for layout in layouts):
        return None
    if any(layout is None for layout in layouts):
        return Refusal(
            "strategy single wants all GPUs of a machine alike; some have MIG on and some off",
            remedy="Write mig: {strategy: mixed}, or give every GPU the same profile.",
        )
    profiles = sorted({name for layout in layouts if layout for name, count in layout.items() if count})
    if not profiles or not all(layout and any(layout.values()) for layout in layouts):
        return Refusal(
            "strategy single with MIG on and a GPU without instances: the device plugin exits and restarts for ever",
            remedy="Give every GPU instances, leave migDevices out (MIG off), or write mig: {strategy: none}.",
        )
    if len(profiles) > 1:
        return Refusal(
            f"strategy single wants one profile on a machine; these are {len(profiles)}: {', '.join(profiles)}",
            allowed="one profile, as often as it fits",
            remedy="Write mig: {strategy: mixed}, or keep one of the profiles.",
        )
    return None


def _mixed(layouts: list[dict[str, int] | None]) -> Refusal | None:
    if any(layout is None or any(layout.values()) for layout in layouts):
        return None
    return Refusal(
        "strategy mixed without any instance: the machine would offer nothing, and the GPU Operator never gets ready",
        remedy="Give it instances, leave migDevices out (MIG off), or write mig: {strategy: none}.",
    )
