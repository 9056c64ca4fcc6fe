"""What exists on the fake GPU is listed as the real nvidia-smi lists it, at the width of its driver."""

import captured_smi as captured
import pytest
from fake_gpu import FakeGpu

LOWER_HALF_FIRST = "GPU-00000000-0000-0000-0000-00000000000a"


@pytest.fixture
def a100(gpu: FakeGpu) -> FakeGpu:
    """An A100 80GB with MIG mode on."""
    gpu.enable()
    return gpu


def test_instances_are_listed_as_r580_lists_them(a100: FakeGpu) -> None:
    a100.said("mig -cgi 4g.40gb,14,1g.10gb -C")
    assert a100.said("mig -lgi") == (
        "+---------------------------------------------------------+\n"
        "| GPU instances:                                          |\n"
        "| GPU   Name               Profile  Instance   Placement  |\n"
        "|                            ID       ID       Start:Size |\n"
        "|=========================================================|\n"
        "|   0  MIG 1g.10gb           19        9          6:1     |\n"
        "+---------------------------------------------------------+\n"
        "|   0  MIG 2g.20gb           14        3          4:2     |\n"
        "+---------------------------------------------------------+\n"
        "|   0  MIG 4g.40gb            5        2          0:4     |\n"
        "+---------------------------------------------------------+\n"
    )


def test_compute_instances_are_listed_as_in_the_guide(a100: FakeGpu) -> None:
    a100.said("mig -cgi 9 -C")
    assert a100.said("mig -lci") == captured.GUIDE_LCI


def test_compute_profiles_are_listed_as_captured_on_an_a100(gpu: FakeGpu) -> None:
    gpu.plug({"model": "A100-40GB"})
    gpu.enable()
    gpu.said("mig -cgi 4g.20gb")
    ruler = "+--------------------------------------------------------------------------------------+\n"
    rows = gpu.said("mig -i 0 -gi 2 -lcip").splitlines(keepends=True)[6:]
    assert "".join(rows) == (
        "|   0      2       MIG 1c.4g.20gb       0      4/4           14        2     0     0   |\n"
        "|                                                                      4     0         |\n"
        f"{ruler}"
        "|   0      2       MIG 2c.4g.20gb       1      2/2           28        2     0     0   |\n"
        "|                                                                      4     0         |\n"
        f"{ruler}"
        "|   0      2       MIG 4g.20gb          3*     1/1           56        2     0     0   |\n"
        "|                                                                      4     0         |\n"
        f"{ruler}"
    )


def test_a_part_of_a_gpu_instance_is_listed_as_captured_on_an_h200(gpu: FakeGpu) -> None:
    hopper = {"model": "H100-80GB", "uuid": LOWER_HALF_FIRST}
    gpu.plug(*({**hopper, "pci_bus_id": f"0000000{index}:00:00.0"} for index in range(3)))
    gpu.reboot()
    gpu.said("-mig 1")
    gpu.said("mig -i 2 -cgi 2g.20gb:0")
    assert gpu.said("mig -i 2 -lcip").startswith(captured.H200_LCIP)


def test_profiles_tell_what_still_fits_as_captured_on_an_a100(gpu: FakeGpu) -> None:
    gpu.plug({"model": "A100-40GB"})
    gpu.enable()
    gpu.said("mig -cgi 5,14")
    rows = [line.split() for line in gpu.said("mig -lgip").splitlines() if line.startswith("|   0")]
    assert [(row[3], row[5], row[6]) for row in rows] == [
        ("1g.5gb", "1/7", "4.75"),
        ("1g.5gb+me", "1/1", "4.75"),
        ("1g.10gb", "1/4", "9.75"),
        ("2g.10gb", "0/3", "9.75"),
        ("3g.20gb", "0/2", "19.62"),
        ("4g.20gb", "0/1", "19.62"),
        ("7g.40gb", "0/1", "39.38"),
    ]


def test_the_table_lists_the_mig_devices_as_captured_on_an_a100(gpu: FakeGpu) -> None:
    """But for the memory in use, which the capture has at 142 and 36 MiB."""
    gpu.plug({"model": "A100-40GB"})
    gpu.enable()
    gpu.said("mig -cgi 5,14,19 -C")
    table = gpu.said("")
    assert (
        "|  0    2   0   0  |               0MiB / 20096MiB    | 56      0 |  4   0    2    0    0 |\n"
        "|                  |               0MiB / 12211MiB    |           |                       |\n"
        "+------------------+----------------------------------+-----------+-----------------------+\n"
    ) in table
    assert (
        "|  0    9   0   2  |               0MiB /  4864MiB    | 14      0 |  1   0    0    0    0 |\n"
        "|                  |               0MiB /  3052MiB    |           |                       |\n"
        "+------------------+----------------------------------+-----------+-----------------------+\n\n"
        "+-----------------------------------------------------------------------------------------+\n"
        "| Processes:"
    ) in table


def test_an_older_drivers_table_lists_the_mig_devices_as_captured(gpu: FakeGpu) -> None:
    """nvitop's capture but for the memory in use, on the tutorial's card: half of it is 28 SM for a 2g.20gb."""
    gpu.run("load-driver", "--unload")
    gpu.load_driver("515.86.01")
    gpu.enable()
    gpu.said("mig -cgi 14 -C")
    expected = (
        captured.NVITOP_MIG_TABLE.replace("|  1  ", "|  0  ")
        .replace("14366MiB", "    0MiB")
        .replace("4MiB /", "0MiB /")
    )
    assert expected in gpu.said("")
