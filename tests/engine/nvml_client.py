"""A client of the driver's library, a process of its own: answers calls, by NVIDIA's binding or by nvitop.

A call is a line `[function, argument, …]` of JSON on standard input, the answer another on standard output:
`{"said": …}`, or `{"refused": code}`.
"""

import ctypes
import json
import sys
from collections.abc import Callable
from typing import Any

import pynvml as nvml
from nvml_seen import ask, fields, gpu, picture, picture_of_nvitop, placements, profiles, system


def create(index: int, profile: int, start: int | None, size: int | None) -> int:
    if start is None:
        made = nvml.nvmlDeviceCreateGpuInstance(gpu(index), profile)
    else:
        place = nvml.c_nvmlGpuInstancePlacement_t(start, size)
        made = nvml.nvmlDeviceCreateGpuInstanceWithPlacement(gpu(index), profile, ctypes.byref(place))
    return int(ctypes.cast(made, ctypes.c_void_p).value is not None)


def destroy(index: int, instance: int) -> None:
    nvml.nvmlGpuInstanceDestroy(nvml.nvmlDeviceGetGpuInstanceById(gpu(index), instance))


def create_compute(index: int, instance: int, profile: int) -> None:
    nvml.nvmlGpuInstanceCreateComputeInstance(nvml.nvmlDeviceGetGpuInstanceById(gpu(index), instance), profile)


def destroy_compute(index: int, instance: int, compute: int) -> None:
    parent = nvml.nvmlDeviceGetGpuInstanceById(gpu(index), instance)
    nvml.nvmlComputeInstanceDestroy(nvml.nvmlGpuInstanceGetComputeInstanceById(parent, compute))


def of_an_instance_that_is_gone(index: int, profile: int) -> list[int]:
    """Codes: of a compute instance's handle as a GPU instance's, then of all three handles when all is gone."""
    instance = nvml.nvmlDeviceCreateGpuInstance(gpu(index), profile)
    compute = nvml.nvmlGpuInstanceCreateComputeInstance(instance, 0)
    mig = nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu(index), 0)
    taken_for_another = _refusal(lambda: nvml.nvmlGpuInstanceGetInfo(compute))
    nvml.nvmlComputeInstanceDestroy(compute)
    nvml.nvmlGpuInstanceDestroy(instance)
    questions: list[Callable[[], Any]] = [
        lambda: nvml.nvmlGpuInstanceGetInfo(instance),
        lambda: nvml.nvmlComputeInstanceGetInfo(compute),
        lambda: nvml.nvmlDeviceGetUUID(mig),
    ]
    return [taken_for_another, *(_refusal(question) for question in questions)]


def with_version(version: int, function: str, structure: str, index: int, *arguments: int) -> int:
    """The code for a structure of this version."""
    made = getattr(nvml, structure)()
    made.version = version
    return int(nvml._nvmlGetFunctionPointer(function)(gpu(index), *arguments, ctypes.byref(made)))


def name_within(index: int, length: int) -> str:
    """A GPU's name in a buffer of this length."""
    buffer = ctypes.create_string_buffer(length)
    nvml._nvmlCheckReturn(nvml._nvmlGetFunctionPointer("nvmlDeviceGetName")(gpu(index), buffer, length))
    return buffer.value.decode()


def at_place(uuid: str) -> str:
    """The UUID of the device that another name means."""
    return str(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByUUID(uuid)))


def at_bus(bus: str) -> str:
    return str(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByPciBusId(bus)))


def fabric(index: int) -> int:
    info = nvml.c_nvmlGpuFabricInfo_v3_t()
    nvml.nvmlDeviceGetGpuFabricInfoV(gpu(index), ctypes.byref(info))
    return int(info.state)


def _refusal(question: Callable[[], Any]) -> int:
    try:
        question()
    except nvml.NVMLError as error:
        return int(error.value)
    return 0


class Held:
    """A GPU instance's handle that this process keeps."""

    def __init__(self) -> None:
        self.instance: Any = None

    def hold(self, index: int, instance: int) -> None:
        self.instance = nvml.nvmlDeviceGetGpuInstanceById(gpu(index), instance)

    def held_id(self) -> int:
        return int(nvml.nvmlGpuInstanceGetInfo(self.instance).id)

    def held_compute_instance(self) -> None:
        nvml.nvmlGpuInstanceGetComputeInstanceById(self.instance, 0)


class Events:
    """The one set of events of this process."""

    def __init__(self) -> None:
        self.set: Any = None

    def register(self, index: int, types: int) -> None:
        self.set = self.set or nvml.nvmlEventSetCreate()
        nvml.nvmlDeviceRegisterEvents(gpu(index), types, self.set)

    def wait(self, milliseconds: int) -> dict[str, Any]:
        return fields(nvml.nvmlEventSetWait_v2(self.set, milliseconds))


def main() -> None:
    events, held = Events(), Held()
    functions: list[Callable[..., Any]] = [nvml.nvmlInit, nvml.nvmlShutdown, events.register, events.wait]
    functions += [ask, system, profiles, placements, picture, picture_of_nvitop, at_place, at_bus, fabric]
    functions += [create, destroy, create_compute, destroy_compute, of_an_instance_that_is_gone, with_version]
    functions += [name_within, held.hold, held.held_id, held.held_compute_instance]
    by_name = {function.__name__: function for function in functions}
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = {"said": by_name[name](*arguments)}
        except nvml.NVMLError as error:
            answer = {"refused": error.value}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
