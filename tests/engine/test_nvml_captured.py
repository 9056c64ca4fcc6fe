"""What the library answers for an H100 with MIG mode off, held against what was captured on a real one (580.159.04)."""

from collections.abc import Iterator
from typing import Any

import pytest
from fake_gpu import FakeGpu
from nvml_process import Client, client_of

from sandbox.tools import toolchain

pytestmark = pytest.mark.engine

H100 = {
    "model": "H100-80GB",
    "uuid": "GPU-00000000-0000-0000-0000-000000000001",
    "pci_bus_id": "00000000:00:06.0",
    "module_id": 7,
}
INVALID_ARGUMENT, NOT_SUPPORTED, NOT_FOUND = 2, 3, 6
COLUMNS = ("id", "sliceCount", "instanceCount", "multiprocessorCount", "copyEngineCount", "decoderCount")
COLUMNS += ("jpegCount", "ofaCount", "memorySizeMB", "name")
PROFILES = {  # by NVML's number
    0: (19, 1, 7, 16, 1, 1, 1, 0, 9984, "MIG 1g.10gb"),
    1: (14, 2, 3, 32, 2, 2, 2, 0, 20096, "MIG 2g.20gb"),
    2: (9, 3, 2, 60, 3, 3, 3, 0, 40448, "MIG 3g.40gb"),
    3: (5, 4, 1, 64, 4, 4, 4, 0, 40448, "MIG 4g.40gb"),
    4: (0, 7, 1, 132, 8, 7, 7, 1, 81152, "MIG 7g.80gb"),
    7: (20, 1, 1, 16, 1, 1, 1, 1, 9984, "MIG 1g.10gb+me"),
    9: (15, 1, 4, 26, 1, 1, 1, 0, 20096, "MIG 1g.20gb"),
}
PLACEMENTS = {
    19: [[0, 1], [1, 1], [2, 1], [3, 1], [4, 1], [5, 1], [6, 1]],
    20: [[0, 1], [1, 1], [2, 1], [3, 1], [4, 1], [5, 1], [6, 1]],
    15: [[0, 2], [2, 2], [4, 2], [6, 2]],
    14: [[0, 2], [2, 2], [4, 2]],
    9: [[0, 4], [4, 4]],
    5: [[0, 4]],
    0: [[0, 8]],
}
ANSWERS: dict[str, Any] = {
    "nvmlDeviceGetName": "NVIDIA H100 80GB HBM3",
    "nvmlDeviceGetUUID": "GPU-00000000-0000-0000-0000-000000000001",
    "nvmlDeviceGetIndex": 0,
    "nvmlDeviceGetMinorNumber": 0,
    "nvmlDeviceGetModuleId": 7,
    "nvmlDeviceGetPciInfo": {
        "busIdLegacy": "0000:00:06.0",
        "domain": 0,
        "bus": 0,
        "device": 6,
        "pciDeviceId": 590352606,
        "pciSubSystemId": 381751518,
        "busId": "00000000:00:06.0",
    },
    "nvmlDeviceGetBrand": 14,
    "nvmlDeviceGetArchitecture": 9,
    "nvmlDeviceGetCudaComputeCapability": [9, 0],
    "nvmlDeviceGetMemoryInfo": {"total": 85520809984, "free": 85017493504, "used": 503316480},
    "nvmlDeviceGetMigMode": [0, 0],
    "nvmlDeviceGetMaxMigDeviceCount": 0,
    "nvmlDeviceGetVirtualizationMode": 1,
    "nvmlDeviceGetPersistenceMode": 1,
    "nvmlDeviceGetSupportedEventTypes": 65439,
    "nvmlDeviceGetNumGpuCores": 16896,
    "nvmlDeviceGetAddressingMode": 0,
    "nvmlDeviceGetComputeMode": 0,
    "nvmlDeviceGetEccMode": [1, 1],
}
REFUSALS = {
    ("nvmlDeviceGetAttributes_v2",): NOT_SUPPORTED,
    ("nvmlDeviceGetGpuInstanceId",): INVALID_ARGUMENT,
    ("nvmlDeviceGetComputeInstanceId",): INVALID_ARGUMENT,
    ("nvmlDeviceGetMigDeviceHandleByIndex", 0): NOT_FOUND,
    ("nvmlDeviceGetMigDeviceHandleByIndex", 1): NOT_FOUND,
}


@pytest.fixture(scope="module")
def h100(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    gpu = FakeGpu(tmp_path_factory.mktemp("h100"), toolchain.gpu())
    gpu.plug(H100)
    gpu.load_driver()
    with client_of(gpu, toolchain.nvml()) as client:
        client.call("nvmlInit")
        yield client


def test_the_system_is_the_captured_one(h100: Client) -> None:
    assert h100.call("system") == {"driver": "580.159.04", "nvml": "13.580.159.04", "cuda": 13000, "count": 1}


@pytest.mark.parametrize("function", ANSWERS)
def test_a_question_about_the_gpu_has_the_captured_answer(h100: Client, function: str) -> None:
    assert h100.call("ask", function, 0) == ANSWERS[function]


@pytest.mark.parametrize("call", REFUSALS, ids=lambda call: "-".join(str(word) for word in call))
def test_what_needs_mig_is_refused_with_the_captured_code(h100: Client, call: tuple[Any, ...]) -> None:
    function, *arguments = call
    assert h100.code("ask", function, 0, *arguments) == REFUSALS[call]


def test_each_number_of_a_profile_is_answered_or_refused_as_captured(h100: Client) -> None:
    said = {int(number): answer for number, answer in h100.call("profiles", 0).items()}
    for number, answer in said.items():
        if number in PROFILES:
            row = dict(zip(COLUMNS, PROFILES[number], strict=True))
            always = {"version": 0, "isP2pSupported": 0, "encoderCount": 0}
            places = {"placements": PLACEMENTS[row["id"]], "remaining": row["instanceCount"]}
            assert answer == {**always, **row, **places}
        else:
            assert answer == (NOT_SUPPORTED if number < 17 else INVALID_ARGUMENT), number


def test_a_profile_of_other_gpus_has_no_place_and_one_of_no_gpu_is_refused(h100: Client) -> None:
    assert [h100.call("placements", 0, profile) for profile in (35, 47, 65, 66, 67)] == [[]] * 5
    assert [h100.code("placements", 0, profile) for profile in (7, 46)] == [INVALID_ARGUMENT, INVALID_ARGUMENT]


def test_a_structure_of_another_version_is_refused(h100: Client) -> None:
    versions = {0x02000098: 0, 0x01000098: INVALID_ARGUMENT, 0x02000094: INVALID_ARGUMENT, 0: INVALID_ARGUMENT}
    name = "nvmlDeviceGetGpuInstanceProfileInfoV"
    for version, code in versions.items():
        assert h100.call("with_version", version, name, "c_nvmlGpuInstanceProfileInfo_v2_t", 0, 0) == code
    for version, code in {0x02000028: 0, 0x01000028: 25, 2: 25}.items():
        said = h100.call("with_version", version, "nvmlDeviceGetMemoryInfo_v2", "c_nvmlMemory_v2_t", 0)
        assert said == code
