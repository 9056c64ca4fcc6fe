"""What nvidia-smi prints of the GPUs, and what it would have to print by what the driver's library says of them."""

from typing import Any
from xml.etree import ElementTree as ET

from fake_gpu import FakeGpu

QUERY = (
    "index,name,uuid,pci.bus_id,driver_version,mig.mode.current,mig.mode.pending,memory.total,compute_cap,"
    "persistence_mode"
)
MEBIBYTE = 1 << 20
ON = {0: "Disabled", 1: "Enabled"}


def printed_list(gpu: FakeGpu) -> list[str]:
    """`-L` of the GPUs that answer."""
    return [line for line in gpu.smi("-L").stdout.splitlines() if line.lstrip().startswith(("GPU ", "MIG "))]


def listed(picture: list[dict[str, Any]]) -> list[str]:
    """The same by the library."""
    lines = []
    for index, one in enumerate(picture):
        if "refused" in one:
            continue
        lines.append(f"GPU {index}: {one['name']} (UUID: {one['uuid']})")
        for mig in one["devices"]:
            profile = mig["name"].removeprefix(f"{one['name']} MIG ")
            lines.append(f"  MIG {profile:<11} Device {mig['index']:>2}: (UUID: {mig['uuid']})")
    return lines


def _rows(gpu: FakeGpu, command: str) -> list[list[str]]:
    table = (line.strip("|").split() for line in gpu.smi(command).stdout.splitlines() if line.startswith("|"))
    return sorted(row for row in table if row and row[0].isdigit())


def printed_instances(gpu: FakeGpu) -> list[list[str]]:
    """Rows of `mig -lgi`: GPU, MIG, name, profile, id, start:size."""
    return _rows(gpu, "mig -lgi")


def instances(picture: list[dict[str, Any]]) -> list[list[str]]:
    return sorted(
        [str(index), *one["name"].split(), str(one["profileId"]), str(one["id"]), place(one)]
        for index, gpu in enumerate(picture)
        for one in gpu.get("instances", ())
    )


def printed_compute_instances(gpu: FakeGpu) -> list[list[str]]:
    """Rows of `mig -lci`: GPU, GPU instance, MIG, name, profile, id, start:size."""
    return _rows(gpu, "mig -lci")


def compute_instances(picture: list[dict[str, Any]]) -> list[list[str]]:
    return sorted(
        [str(index), str(one["id"]), *part["name"].split(), str(part["profileId"]), str(part["id"]), place(part)]
        for index, gpu in enumerate(picture)
        for one in gpu.get("instances", ())
        for part in one["compute"]
    )


def place(one: dict[str, Any]) -> str:
    return f"{one['placement']['start']}:{one['placement']['size']}"


def printed_devices(gpu: FakeGpu) -> dict[str, list[list[str]]]:
    """`-q -x`: GPU's UUID -> its MIG devices, each with its number, the ids of its instances, and what it has."""
    document = gpu.smi("-q -x").stdout.partition("<nvidia_smi_log>")
    if not document[1]:  # no GPU answers
        return {}
    root = ET.fromstring("".join(document[1:]))  # noqa: S314 - our own
    return {
        one.findtext("uuid", ""): [[mig.findtext(path, "") for path in _OF_A_DEVICE] for mig in one.iter("mig_device")]
        for one in root.iter("gpu")
    }


_SHARED = "device_attributes/shared"
_OF_A_DEVICE = {
    "index": "index",
    "gpu_instance_id": "gpu_instance",
    "compute_instance_id": "compute_instance",
    f"{_SHARED}/multiprocessor_count": "multiprocessorCount",
    f"{_SHARED}/copy_engine_count": "sharedCopyEngineCount",
    f"{_SHARED}/encoder_count": "sharedEncoderCount",
    f"{_SHARED}/decoder_count": "sharedDecoderCount",
    f"{_SHARED}/ofa_count": "sharedOfaCount",
    f"{_SHARED}/jpg_count": "sharedJpegCount",
}
"""What the library calls each of them."""


def devices(picture: list[dict[str, Any]]) -> dict[str, list[list[str]]]:
    """The same by the library."""
    return {
        one["uuid"]: [
            [str((mig | mig["attributes"])[name]) for name in _OF_A_DEVICE.values()] for mig in one["devices"]
        ]
        for one in picture
        if "refused" not in one
    }


def printed_query(gpu: FakeGpu) -> list[str]:
    """`--query-gpu` of the GPUs that answer."""
    lines = gpu.smi(f"--query-gpu={QUERY} --format=csv,noheader").stdout.splitlines()
    return [line for line in lines if not line.startswith("Unable to determine")]


def query(picture: list[dict[str, Any]], driver: str) -> list[str]:
    return [
        ", ".join(
            [
                str(index),
                one["name"],
                one["uuid"],
                one["bus"],
                driver,
                *(ON[mode] for mode in one["mode"]),
                f"{one['memory'] // MEBIBYTE} MiB",
                ".".join(str(number) for number in one["capability"]),
                ON[one["persistence"]],
            ]
        )
        for index, one in enumerate(picture)
        if "refused" not in one
    ]


def by_nvitop(picture: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What nvitop says of the same GPUs."""
    return [
        {
            "name": one["name"],
            "uuid": one["uuid"],
            "memory": one["memory"],
            "mode": ON[one["mode"][0]],
            "devices": [
                {
                    **{name: mig[name] for name in ("name", "uuid", "gpu_instance", "compute_instance", "memory")},
                    "index": [index, mig["index"]],
                }
                for mig in one["devices"]
            ],
        }
        for index, one in enumerate(picture)
        if "refused" not in one
    ]
