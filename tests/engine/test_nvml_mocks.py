"""The tables of go-nvml's mocks against what our library says of the same models; each difference with its source."""

from pathlib import Path
from typing import Any

import pytest
from fake_gpu import FakeGpu
from nvml_by_go import mocks
from nvml_process import client_of

from sandbox.tools import toolchain

pytestmark = pytest.mark.engine

CAPTURED = "captured on an H100 80GB HBM3 and an H200, driver 580.159.04"
GUIDE = "MIG User Guide, profiles of the A100: 1g has 0 NVDECs"
ONE, TWO, THREE, FOUR, SEVEN, ONE_WITH_MEDIA, ONE_WITH_DOUBLE_MEMORY = "0", "1", "2", "3", "4", "7", "9"
"""Profiles by NVML's number."""
FIELDS = {
    "isP2pSupported": "IsP2pSupported",
    "sliceCount": "SliceCount",
    "instanceCount": "InstanceCount",
    "multiprocessorCount": "MultiprocessorCount",
    "copyEngineCount": "CopyEngineCount",
    "decoderCount": "DecoderCount",
    "encoderCount": "EncoderCount",
    "jpegCount": "JpegCount",
    "ofaCount": "OfaCount",
}
"""The library's names of figures, and those of Go. Ids are left out: the mocks have NVML's numbers for them."""
DIFFERENCES = {
    "A100-40GB": {},
    "A100-80GB": {GUIDE: {(ONE, "decoderCount"): (0, 1)}},
    "A30-24GB": {},
    "H100-80GB": {
        CAPTURED: {
            **{(profile, "isP2pSupported"): (0, 1) for profile in "0123479"},
            (ONE, "jpegCount"): (1, 0),
            (ONE_WITH_DOUBLE_MEMORY, "multiprocessorCount"): (26, 16),
            (ONE_WITH_DOUBLE_MEMORY, "jpegCount"): (1, 0),
            (TWO, "decoderCount"): (2, 1),
            (TWO, "jpegCount"): (2, 0),
            (THREE, "multiprocessorCount"): (60, 48),
            (THREE, "decoderCount"): (3, 2),
            (THREE, "jpegCount"): (3, 0),
            (FOUR, "decoderCount"): (4, 2),
            (FOUR, "jpegCount"): (4, 0),
            (SEVEN, "multiprocessorCount"): (132, 112),
            (SEVEN, "copyEngineCount"): (8, 7),
            (SEVEN, "decoderCount"): (7, 5),
            (SEVEN, "jpegCount"): (7, 0),
            (SEVEN, "ofaCount"): (1, 0),
            (ONE_WITH_DOUBLE_MEMORY, "placements"): (
                [[0, 2], [2, 2], [4, 2], [6, 2]],
                [[0, 1], [1, 1], [2, 1], [3, 1], [4, 1], [5, 1], [6, 1]],
            ),
            (THREE, "placements"): ([[0, 4], [4, 4]], [[0, 3], [4, 3]]),
            (SEVEN, "placements"): ([[0, 8]], [[0, 7]]),
        }
    },
}
DIFFERENCES["H200-141GB"] = DIFFERENCES["H100-80GB"]
"""By model and source, by profile and figure: ours and the mock's, which places by compute slices, not by memory's."""
DEVICE_IDS = {
    "A100-40GB": (0x20B010DE, 0x20B010DE),
    "A100-80GB": (0x20B510DE, 0x20B510DE),
    "A30-24GB": (0x20B710DE, 0x20B710DE),
    "H100-80GB": (0x233010DE, 0x233010DE),
    "H200-141GB": (0x233510DE, 0x233310DE),  # ours was captured
}


@pytest.mark.parametrize("model", DIFFERENCES)
def test_the_library_differs_from_the_mocks_only_where_a_source_says_so(tmp_path: Path, model: str) -> None:
    gpu = FakeGpu(tmp_path, toolchain.gpu())
    gpu.plug({"model": model})
    gpu.load_driver()
    table = mocks()[model]
    with client_of(gpu, toolchain.nvml()) as client:
        client.call("nvmlInit")
        said = {number: one for number, one in client.call("profiles", 0).items() if isinstance(one, dict)}
        device_id = client.call("ask", "nvmlDeviceGetPciInfo", 0)["pciDeviceId"]
    assert set(said) == set(table["profiles"])
    assert (device_id, table["pci_device_id"]) == DEVICE_IDS[model]
    assert differences(said, table) == {
        figure: pair for source in DIFFERENCES[model].values() for figure, pair in source.items()
    }
    for number, one in said.items():  # it changes with the driver, and the mocks round it to the name's
        assert 0.85 < one["memorySizeMB"] / table["profiles"][number]["MemorySizeMB"] < 1.05


def differences(said: dict[str, Any], table: dict[str, Any]) -> dict[tuple[str, str], tuple[Any, Any]]:
    found: dict[tuple[str, str], tuple[Any, Any]] = {}
    for number, one in said.items():
        mock = table["profiles"][number]
        pairs = {ours: (one[ours], mock[theirs]) for ours, theirs in FIELDS.items()}
        size = table["sizes"][number]
        pairs["placements"] = (one["placements"], [[start, size] for start in table["starts"][number]])
        found |= {(number, figure): pair for figure, pair in pairs.items() if pair[0] != pair[1]}
    return found
