"""What clients of the driver's library see of the GPUs, as JSON: NVIDIA's own binding, and nvitop."""

import ctypes
from typing import Any

import nvitop
import pynvml as nvml

Handle = Any
"""A handle that the binding gives, and a structure of it, for which it declares no types."""
ABSENT = (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_INVALID_ARGUMENT)


def gpu(index: int) -> Handle:
    return nvml.nvmlDeviceGetHandleByIndex(index)


def fields(structure: Handle) -> dict[str, Any]:
    """A structure's content, in which handles mean nothing to others."""
    content = {}
    for name, *_ in structure._fields_:
        value = getattr(structure, name)
        if isinstance(value, ctypes.Structure):
            content[name] = fields(value)
        elif isinstance(value, int | str | bytes):
            content[name] = value.decode() if isinstance(value, bytes) else value
    return content


def ask(function: str, index: int, *arguments: object) -> object:
    """One function of the binding about one GPU."""
    answer = getattr(nvml, function)(gpu(index), *arguments)
    return fields(answer) if isinstance(answer, ctypes.Structure) else answer


def system() -> dict[str, Any]:
    return {
        "driver": nvml.nvmlSystemGetDriverVersion(),
        "nvml": nvml.nvmlSystemGetNVMLVersion(),
        "cuda": nvml.nvmlSystemGetCudaDriverVersion(),
        "count": nvml.nvmlDeviceGetCount(),
    }


def profiles(index: int) -> dict[int, Any]:
    """Every number of a profile up to 23: what is said of it, or the refusal."""
    answers: dict[int, Any] = {}
    for number in range(24):
        try:
            info = nvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu(index), number)
        except nvml.NVMLError as error:
            answers[number] = error.value
            continue
        remaining = nvml.nvmlDeviceGetGpuInstanceRemainingCapacity(gpu(index), info.id)
        answers[number] = {**fields(info), "placements": placements(index, info.id), "remaining": remaining}
    return answers


def placements(index: int, profile: int) -> list[tuple[int, int]]:
    count = ctypes.c_uint()
    nvml.nvmlDeviceGetGpuInstancePossiblePlacements(gpu(index), profile, None, ctypes.byref(count))
    found = (nvml.c_nvmlGpuInstancePlacement_t * max(count.value, 1))()
    nvml.nvmlDeviceGetGpuInstancePossiblePlacements(gpu(index), profile, found, ctypes.byref(count))
    return [(place.start, place.size) for place in found[: count.value]]


def gpu_instances(index: int) -> list[dict[str, Any]]:
    """All GPU instances in the order of the profiles' numbers, with their compute instances."""
    found = []
    for number in range(nvml.NVML_GPU_INSTANCE_PROFILE_COUNT):
        try:
            profile = nvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu(index), number)
        except nvml.NVMLError as error:
            if error.value in ABSENT:
                continue
            raise
        handles, count = (nvml.c_nvmlGpuInstance_t * profile.instanceCount)(), ctypes.c_uint()
        nvml.nvmlDeviceGetGpuInstances(gpu(index), profile.id, handles, ctypes.byref(count))
        for handle in handles[: count.value]:
            info = fields(nvml.nvmlGpuInstanceGetInfo(handle))
            found.append({**info, "name": fields(profile)["name"], "compute": compute_instances(handle)})
    return found


def compute_instances(instance: Handle) -> list[dict[str, Any]]:
    found = []
    for number in range(nvml.NVML_COMPUTE_INSTANCE_PROFILE_COUNT):
        try:
            profile = nvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, number, 0)
        except nvml.NVMLError as error:
            if error.value in ABSENT:
                continue
            raise
        handles, count = (nvml.c_nvmlComputeInstance_t * profile.instanceCount)(), ctypes.c_uint()
        nvml.nvmlGpuInstanceGetComputeInstances(instance, profile.id, handles, ctypes.byref(count))
        found += [
            {**fields(nvml.nvmlComputeInstanceGetInfo(handle)), "name": fields(profile)["name"]}
            for handle in handles[: count.value]
        ]
    return found


def mig_devices(index: int) -> list[dict[str, Any]]:
    found = []
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu(index))):
        try:
            mig = nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu(index), number)
        except nvml.NVMLError_NotFound:
            break
        parent = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig)
        found.append(
            {
                "name": nvml.nvmlDeviceGetName(mig),
                "uuid": nvml.nvmlDeviceGetUUID(mig),
                "index": nvml.nvmlDeviceGetIndex(mig),
                "gpu_instance": nvml.nvmlDeviceGetGpuInstanceId(mig),
                "compute_instance": nvml.nvmlDeviceGetComputeInstanceId(mig),
                "memory": nvml.nvmlDeviceGetMemoryInfo(mig).total,
                "attributes": fields(nvml.nvmlDeviceGetAttributes(mig)),
                "is_mig": bool(nvml.nvmlDeviceIsMigDeviceHandle(mig).value),
                "parent": nvml.nvmlDeviceGetUUID(parent),
            }
        )
    return found


def picture() -> list[dict[str, Any]]:
    """Everything there is, by NVIDIA's binding. A GPU that does not answer is what it refuses with."""
    found: list[dict[str, Any]] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = gpu(index)
        except nvml.NVMLError as error:
            found.append({"refused": error.value})
            continue
        found.append(
            {
                "name": nvml.nvmlDeviceGetName(handle),
                "uuid": nvml.nvmlDeviceGetUUID(handle),
                "bus": nvml.nvmlDeviceGetPciInfo(handle).busId,
                "mode": nvml.nvmlDeviceGetMigMode(handle),
                "memory": nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2).total,
                "capability": nvml.nvmlDeviceGetCudaComputeCapability(handle),
                "persistence": nvml.nvmlDeviceGetPersistenceMode(handle),
                "instances": gpu_instances(index),
                "devices": mig_devices(index),
            }
        )
    return found


def picture_of_nvitop() -> list[dict[str, Any]]:
    """GPUs that answer and their MIG devices, by nvitop."""
    return [
        {
            "name": device.name(),
            "uuid": device.uuid(),
            "memory": device.memory_total(),
            "mode": device.mig_mode(),
            "devices": [
                {
                    "name": mig.name(),
                    "uuid": mig.uuid(),
                    "index": list(mig.index),
                    "gpu_instance": mig.gpu_instance_id(),
                    "compute_instance": mig.compute_instance_id(),
                    "memory": mig.memory_total(),
                }
                for mig in device.mig_devices()
            ],
        }
        for device in nvitop.PhysicalDevice.all()
        if device.handle is not None
    ]
