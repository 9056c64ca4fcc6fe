"""The fake nvidia-smi prints what the real one printed: byte for byte, where a capture exists."""

import captured_smi as captured
import pytest
from fake_gpu import FakeGpu

H100 = {"model": "H100-80GB", "uuid": "GPU-11111111-2222-3333-4444-555555555555", "pci_bus_id": "00000000:00:06.0"}
H200 = {"model": "H200-141GB", "uuid": "GPU-66666666-7777-8888-9999-aaaaaaaaaaaa", "pci_bus_id": "00000000:00:06.0"}
TUTORIAL_LOOKS = {"persistence_mode": False, "memory_used_mib": 143, "power_w": 41, "temperature_c": 33}


@pytest.fixture
def h100(gpu: FakeGpu) -> FakeGpu:
    gpu.plug(H100)
    gpu.reboot()
    return gpu


@pytest.fixture
def tutorial(gpu: FakeGpu) -> FakeGpu:
    """The tutorial's machine: an A100 80GB PCIe with driver 515.86.01, whose driver has no persistence daemon."""
    gpu.plug({"persistence_mode": False})
    gpu.run("load-driver", "--unload")
    gpu.load_driver("515.86.01")
    return gpu


def without_first_line(text: str) -> str:
    return text.split("\n", 1)[1]


def test_the_table_of_an_h100_is_the_captured_one(h100: FakeGpu) -> None:
    assert without_first_line(h100.said("")) == captured.H100_TABLE


def test_the_table_begins_with_the_time(h100: FakeGpu) -> None:
    first = h100.said("").split("\n", 1)[0]
    assert first.endswith("       ")
    assert [len(word) for word in first.split()[-2:]] == [8, 4], first


def test_the_list_of_an_h100_is_the_captured_one(h100: FakeGpu) -> None:
    assert h100.said("-L") == "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-11111111-2222-3333-4444-555555555555)\n"


def test_the_profiles_of_an_h100_are_the_captured_ones_with_mig_mode_off(h100: FakeGpu) -> None:
    assert h100.said("mig -lgip") == captured.H100_LGIP
    assert h100.said("mig -lgipp") == captured.LGIPP


def test_the_query_of_an_h100_is_the_captured_one(h100: FakeGpu) -> None:
    fields = captured.H100_QUERY.split("\n", 1)[0].replace(" [MiB]", "").replace(" ", "")
    assert h100.said(f"--query-gpu={fields} --format=csv") == captured.H100_QUERY


def test_the_profiles_placements_and_query_of_an_h200_are_the_captured_ones(gpu: FakeGpu) -> None:
    gpu.plug(H200)
    gpu.reboot()
    assert gpu.said("mig -lgip") == captured.H200_LGIP
    assert gpu.said("mig -lgipp") == captured.LGIPP
    fields = captured.H200_QUERY.split("\n", 1)[0].replace(" [MiB]", "").replace(" ", "")
    assert gpu.said(f"--query-gpu={fields} --format=csv") == captured.H200_QUERY


def test_the_details_of_an_h100_are_lines_of_the_captured_ones(h100: FakeGpu) -> None:
    """Of the captured lines those are printed that somebody reads; the spacing is the captured one."""
    details = h100.said("-q")
    for line in (
        "Driver Version                                         : 580.159.04",
        "GPU 00000000:00:06.0",
        "    Product Name                                       : NVIDIA H100 80GB HBM3",
        "    MIG Mode",
        "        Current                                        : Disabled",
        "        Pending                                        : Disabled",
        "    GPU UUID                                           : GPU-11111111-2222-3333-4444-555555555555",
        "        Virtualization Mode                            : Pass-Through",
        "        Device Id                                      : 0x233010DE",
    ):
        assert f"\n{line}\n" in details


def test_a_query_without_header_and_units_has_bare_values(gpu: FakeGpu) -> None:
    query = "--query-gpu=index,memory.total,count,name --format=csv"
    assert gpu.said(f"{query},noheader") == "0, 81920 MiB, 1, NVIDIA A100 80GB PCIe\n"
    assert gpu.said(f"{query},noheader,nounits") == "0, 81920, 1, NVIDIA A100 80GB PCIe\n"
    assert gpu.said(f"{query},nounits").split("\n")[0] == "index, memory.total [MiB], count, name"


def test_a_query_of_processes_prints_its_header_alone(gpu: FakeGpu) -> None:
    assert gpu.said("--query-compute-apps=pid,process_name --format=csv") == "pid, process_name\n"
    assert gpu.said("--query-compute-apps=pid,process_name --format=csv,noheader") == ""


def test_an_unknown_field_or_option_is_refused(gpu: FakeGpu) -> None:
    answer = gpu.smi("--query-gpu=colour --format=csv")
    assert (answer.returncode, answer.stdout) == (2, 'Field "colour" is not a valid field to query.\n\n')
    for wrong in ("--frobnicate", "mig", "mig -lgi -lci", "-L -q", "-mig perhaps", "-x", "-L -x"):
        assert gpu.smi(wrong).returncode == 2, wrong


def test_a_gpu_that_is_not_there_is_exit_code_6(gpu: FakeGpu) -> None:
    for command in ("-i 7", "-L -i 7", "mig -lgi -i 7", "mig -lgip -i GPU-none"):
        answer = gpu.smi(command)
        assert (answer.returncode, answer.stdout) == (6, "No devices were found\n"), command


def test_i_takes_indices_bus_ids_and_uuids(gpu: FakeGpu) -> None:
    gpu.plug({}, {"uuid": "GPU-00000000-0000-0000-0000-000000000002", "pci_bus_id": "00000002:00:00.0"})
    gpu.reboot()
    for chosen in ("1", "00000002:00:00.0", "0002:00:00.0", "GPU-00000000-0000-0000-0000-000000000002", "7,1"):
        assert gpu.said(f"--query-gpu=index --format=csv,noheader -i {chosen}") == "1\n", chosen
    assert gpu.said("--query-gpu=index --format=csv,noheader -i 0,1") == "0\n1\n"


def test_without_a_driver_nvidia_smi_says_so_with_exit_code_9(gpu: FakeGpu) -> None:
    gpu.run("load-driver", "--unload")
    answer = gpu.smi("-L")
    assert answer.returncode == 9
    assert answer.stdout == (
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
        "Make sure that the latest NVIDIA driver is installed and running.\n\n"
    )


def test_the_tutorials_table_with_mig_mode_off(tutorial: FakeGpu) -> None:
    tutorial.plug(TUTORIAL_LOOKS)
    assert without_first_line(tutorial.said("")).startswith(captured.TUTORIAL_MODE_OFF)


def test_the_tutorials_job_log(tutorial: FakeGpu) -> None:
    """In a container; the line between the two tables is made of spaces."""
    tutorial.plug(TUTORIAL_LOOKS)
    tutorial.enter_container("nvidia0")
    assert without_first_line(tutorial.said("")) == captured.TUTORIAL_JOB_LOG.replace("\n\n", f"\n{'':79}\n")


def test_the_tutorials_table_with_mig_mode_on(tutorial: FakeGpu) -> None:
    tutorial.enable()
    assert without_first_line(tutorial.said("")).startswith(captured.TUTORIAL_MODE_ON)


def test_the_tutorials_profiles(tutorial: FakeGpu) -> None:
    tutorial.enable()
    assert tutorial.said("mig -i 0 -lgip") == captured.TUTORIAL_LGIP


def test_the_tutorials_seven_instances(tutorial: FakeGpu) -> None:
    tutorial.enable()
    assert tutorial.said("mig -cgi 19,19,19,19,19,19,19 -C") == captured.TUTORIAL_CREATE_SEVEN
    assert tutorial.said("-L") == captured.TUTORIAL_LIST_SEVEN


def test_the_tutorials_mixed_instances(tutorial: FakeGpu) -> None:
    tutorial.enable()
    assert tutorial.said("mig -cgi 9,14,19 -C") == captured.TUTORIAL_CREATE_MIXED
    assert tutorial.said("-L") == captured.TUTORIAL_LIST_MIXED


def test_the_tutorials_none_strategy_lists_the_bare_gpu_with_mig_mode_on(tutorial: FakeGpu) -> None:
    tutorial.plug({"uuid": "GPU-0ac04164-2333-098a-2dc2-40b0ddac18fd"})
    tutorial.enable()
    assert tutorial.said("--query-gpu=mig.mode.current --format=csv,noheader") == "Enabled\n"
    assert tutorial.said("-L") == "GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-0ac04164-2333-098a-2dc2-40b0ddac18fd)\n"


def test_called_by_another_name_the_program_takes_its_name_from_the_first_word(gpu: FakeGpu) -> None:
    (gpu.bin / "gpu").symlink_to((gpu.bin / "nvidia-smi").resolve())
    assert gpu.run("gpu", "nvidia-smi", "-L").stdout == gpu.said("-L")
    nameless = gpu.run("gpu")
    assert nameless.returncode == 2
    assert nameless.stderr == (
        "gpu: call me as one of: container-hook, load-driver, nv-fabricmanager, nvidia-smi, vectorAdd\n"
    )
