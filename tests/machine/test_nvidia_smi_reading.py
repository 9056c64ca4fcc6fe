"""How nvidia-smi's answers are read: a warning beside an answer makes no healthy GPU unreadable."""

import dataclasses
from collections.abc import Callable

import pytest
from a_machine import AMachine
from calls import call
from gpus import SEVEN, TUTORIAL, Gpus, layout

from machine.gpu.nvidia_smi import ListedDevice, ListedGpu, MigMode, NoNvidiaSmiError, NvidiaSmi, listed_gpus
from machine.host.errors import GpuError
from machine.host.program import Ended

WARNING = "WARNING: infoROM is corrupted at gpu 0001:00:00.0"
# The tutorial's listing.
LISTED = """\
GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b)
  MIG 3g.40gb     Device  0: (UUID: MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c)
  MIG 2g.20gb     Device  1: (UUID: MIG-46602d72-bafb-513e-a79c-03cd078519b4)
  MIG 1g.10gb     Device  2: (UUID: MIG-ab3c9061-ac9b-5f7c-801a-8d35188a6422)
"""


def test_the_tutorials_listing_is_read() -> None:
    assert listed_gpus(LISTED) == (
        ListedGpu(
            0,
            "GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b",
            (
                ListedDevice("3g.40gb", 0, "MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c"),
                ListedDevice("2g.20gb", 1, "MIG-46602d72-bafb-513e-a79c-03cd078519b4"),
                ListedDevice("1g.10gb", 2, "MIG-ab3c9061-ac9b-5f7c-801a-8d35188a6422"),
            ),
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No devices found.\n",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
        "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.173\n",
        "  MIG 3g.40gb     Device  0: (UUID: MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c)\n",
    ],
)
def test_a_text_that_is_not_a_listing_lists_no_gpu(text: str) -> None:
    assert listed_gpus(text) == ()


def test_devices_belong_to_the_gpu_above_them() -> None:
    second = LISTED.replace("GPU 0", "GPU 1").replace("9f0cc172", "aaaaaaaa").replace("MIG-", "MIG-b")
    first, other = listed_gpus(f"{LISTED}{WARNING}\n{second}")
    assert (first.index, other.index) == (0, 1)
    assert [device.uuid[:6] for gpu in (first, other) for device in gpu.devices] == [
        "MIG-40", "MIG-46", "MIG-ab", "MIG-b4", "MIG-b4", "MIG-ba",
    ]  # fmt: skip


@pytest.mark.parametrize("where", ["before, on stdout", "behind, on stdout", "on stderr"])
def test_a_warning_beside_every_answer_changes_nothing(gpus: Callable[..., Gpus], where: str) -> None:
    made = gpus("H100-80GB")
    real = made.machine.answers["nvidia-smi"]

    def warning(command: tuple[str, ...], stdin: str) -> Ended:
        said = real(command, stdin)
        return {
            "before, on stdout": dataclasses.replace(said, stdout=f"{WARNING}\n{said.stdout}"),
            "behind, on stdout": dataclasses.replace(said, stdout=f"{said.stdout}{WARNING}\n", status=14),
            "on stderr": dataclasses.replace(said, stderr=f"{WARNING}\n{said.stderr}"),
        }[where]

    made.machine.answers["nvidia-smi"] = warning
    ended = call(made.machine, "modes")
    assert (ended.stdout, ended.stderr.count(WARNING)) == ("done GPU 0 Enabled\n", 1)
    for wanted in (SEVEN, TUTORIAL):
        ended = call(made.machine, "apply", stdin=layout(wanted))
        assert ended.status == 0, ended.stderr
        assert all(len(instance.uuids) == 1 for instance in ended.report.gpus[0].instances)
        assert ended.report.warnings == (WARNING,)
        assert ended.stderr.count(WARNING) == 1
        assert f"nvidia-smi warns: {WARNING}\n" in ended.stderr
    assert made.places() == ["14:0", "19:2", "9:4"]
    assert NvidiaSmi(made.machine).modes() == {0: MigMode(made.uuids[0], "Enabled", "Enabled")}


@pytest.fixture
def says(a_machine: AMachine) -> Callable[[str], NvidiaSmi]:
    """An nvidia-smi that says this, whatever it is asked."""

    def make(text: str) -> NvidiaSmi:
        a_machine.program("nvidia-smi", f"cat <<'END'\n{text}\nEND")
        return NvidiaSmi(a_machine)

    return make


def test_a_gpu_without_mig_is_told_apart_from_one_that_does_not_answer(says: Callable[[str], NvidiaSmi]) -> None:
    t4 = says("0, GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b, [N/A], [N/A]")
    ended = call(t4.machine, "apply", stdin=layout(TUTORIAL))
    assert "GPU 0  failed: GPU 0 has no MIG mode ([N/A]): it cannot be divided" in ended.stderr
    with pytest.raises(GpuError, match=r"GPU 0 does not tell its MIG mode: a / b\. See `lspci -d 10de:` and dmesg"):
        says("a\nb").mode(0)


def test_the_answer_of_another_gpu_is_not_taken_for_ones_own(says: Callable[[str], NvidiaSmi]) -> None:
    other = says("1, GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b, Enabled, Enabled")
    with pytest.raises(GpuError, match="GPU 0 does not tell its MIG mode"):
        other.mode(0)


@pytest.mark.parametrize("option", ["-lgi", "-lci", "-lgip"])
def test_an_answer_that_is_not_a_table_is_told_and_not_taken_for_an_empty_one(
    says: Callable[[str], NvidiaSmi], option: str
) -> None:
    lost = says("Unable to determine the device handle for GPU0: GPU is lost.")
    with pytest.raises(GpuError, match=f"`nvidia-smi mig -i 0 {option}` says: Unable to determine"):
        lost.table(0, option)
    assert says(f"{WARNING}\nNo MIG-enabled devices found.").table(0, option) == []


def test_rows_of_another_gpu_are_not_taken_for_ones_own(says: Callable[[str], NvidiaSmi]) -> None:
    smi = says(
        "| GPU instances:                                      |\n"
        "|   0  MIG 1g.10gb          19        7          0:1     |\n"
        "|   1  MIG 3g.40gb           9        2          4:4     |"
    )
    assert smi.table(0, "-lgi") == [["0", "MIG", "1g.10gb", "19", "7", "0:1"]]


A100 = "GPU-27b94a00-ed54-5c24-b1fd-1054085de32a"
H100 = "GPU-00000000-0000-0000-0000-000000000000"
# Of `nvidia-smi -q -x` of an A100 with two instances (510.47.03, netdata#14321).
DEVICES = f"""\
<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v11.dtd">
<nvidia_smi_log>
	<attached_gpus>1</attached_gpus>
	<gpu id="00000000:00:04.0">
		<product_name>NVIDIA A100-SXM4-40GB</product_name>
		<mig_devices>
		<mig_device>
			<index>0</index>
			<gpu_instance_id>1</gpu_instance_id>
			<compute_instance_id>0</compute_instance_id>
			<fb_memory_usage>
				<total>19968 MiB</total>
			</fb_memory_usage>
		</mig_device>
		<mig_device>
			<index>1</index>
			<gpu_instance_id>2</gpu_instance_id>
			<compute_instance_id>0</compute_instance_id>
			<fb_memory_usage>
				<total>19968 MiB</total>
			</fb_memory_usage>
		</mig_device>
		</mig_devices>
		<serial>1324321002473</serial>
		<uuid>{A100}</uuid>
		<processes>
		</processes>
	</gpu>

</nvidia_smi_log>
"""
# Of an H100 with MIG mode off (580.105.08, NVIDIA/k8s-test-infra).
NONE = f"""\
	<gpu id="00000000:53:00.0">
		<mig_devices>
			None
		</mig_devices>
		<uuid>{H100}</uuid>
	</gpu>
"""


def test_numbers_of_mig_devices_are_read_from_the_xml(says: Callable[[str], NvidiaSmi]) -> None:
    assert says(DEVICES).device_numbers(0, A100) == {1: [0], 2: [1]}
    both = DEVICES.replace("<gpu_instance_id>2</gpu_instance_id>", "<gpu_instance_id>1</gpu_instance_id>")
    assert says(both).device_numbers(0, A100) == {1: [0, 1]}
    assert says(NONE).device_numbers(0, H100) == {}


@pytest.mark.parametrize(
    "text",
    [
        f"{WARNING}\n{DEVICES}",
        f"{DEVICES}{WARNING}",
        DEVICES.replace("</processes>", "<process_name>a & b < \ufffd</process_name>\n</processes>"),
        # A clock whose element does not open (lollipopkit/flutter_server_box#286).
        DEVICES.replace("<processes>", "<supported_mem_clock>5001 MHz</supported_graphics_clock><processes>"),
    ],
)
def test_numbers_of_mig_devices_are_read_where_the_rest_is_not_xml(says: Callable[[str], NvidiaSmi], text: str) -> None:
    assert says(text).device_numbers(0, A100) == {1: [0], 2: [1]}


def test_mig_devices_of_another_gpu_are_not_taken_for_ones_own(says: Callable[[str], NvidiaSmi]) -> None:
    assert says(DEVICES).device_numbers(0, H100) == {}
    assert says(NONE + DEVICES).device_numbers(0, A100) == {1: [0], 2: [1]}
    assert says(NONE + DEVICES).device_numbers(0, H100) == {}


@pytest.mark.parametrize(
    ("seen", "instead", "told"),
    [
        ("<index>1</index>", "<index>N/A</index>", {1: [0]}),
        ("<index>1</index>", "", {1: [0]}),
        ("<gpu_instance_id>2</gpu_instance_id>", "<gpu_instance_id>GPU is lost</gpu_instance_id>", {1: [0]}),
        # So it was seen over a mock library that answers with the GPU's index (NVIDIA/k8s-test-infra).
        ("<index>1</index>", "<index>0</index>", {}),
        ("</mig_device>", "", {}),
        ("</mig_devices>", "", {}),
    ],
)
def test_what_the_xml_does_not_tell_of_a_mig_device_is_unknown(
    says: Callable[[str], NvidiaSmi], seen: str, instead: str, told: dict[int, list[int]]
) -> None:
    assert seen in DEVICES
    assert says(DEVICES.replace(seen, instead)).device_numbers(0, A100) == told


@pytest.mark.parametrize("text", ["", "No devices were found", "| MIG devices: |\n|  0    7   0   0  | 12MiB |"])
def test_an_answer_that_is_not_xml_tells_no_mig_devices(says: Callable[[str], NvidiaSmi], text: str) -> None:
    assert says(text).device_numbers(0, A100) == {}


def test_placements_are_read_whatever_the_width_of_the_columns(says: Callable[[str], NvidiaSmi]) -> None:
    text = "GPU  0 Profile ID 19 Placements: {0,1,2,3,4,5,6}:1\nGPU  0 Profile ID  0 Placement : {0}:8"
    other = "GPU  1 Profile ID  9 Placements: {0,4}:4"
    assert says(f"{text}\n{other}").placements(0) == {19: ((0, 1, 2, 3, 4, 5, 6), 1), 0: ((0,), 8)}
    with pytest.raises(GpuError, match="GPU 0 lists no placements: nonsense"):
        says("nonsense").placements(0)


def test_a_hang_and_a_missing_program_are_errors_of_their_own(a_machine: AMachine) -> None:
    with pytest.raises(NoNvidiaSmiError, match="there is no nvidia-smi: the driver stage installs it"):
        NvidiaSmi(a_machine).listed()
    a_machine.program("nvidia-smi", "exec sleep 30")
    with pytest.raises(GpuError, match=r"`nvidia-smi -L` did not answer within 1 s; see dmesg for Xid") as hang:
        NvidiaSmi(a_machine, seconds=0.6).listed()
    assert not isinstance(hang.value, NoNvidiaSmiError)
