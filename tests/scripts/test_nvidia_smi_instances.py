"""GPU instances and compute instances of the fake GPU come, lie and go as on the real ones."""

import subprocess

import captured_smi as captured
import pytest
from fake_gpu import FakeGpu

UPPER_HALF_FIRST, LOWER_HALF_FIRST = (
    "GPU-00000000-0000-0000-0000-00000000000b",
    "GPU-00000000-0000-0000-0000-00000000000a",
)


@pytest.fixture
def a100(gpu: FakeGpu) -> FakeGpu:
    """An A100 80GB with MIG mode on."""
    gpu.enable()
    return gpu


@pytest.fixture
def turned(gpu: FakeGpu) -> FakeGpu:
    """An A100 80GB with MIG mode on, whose memory slots 0 to 3 are the half that comes first."""
    gpu.plug({"uuid": LOWER_HALF_FIRST})
    gpu.enable()
    return gpu


def test_the_guides_wrong_order_fails_at_its_last_profile_and_leaves_the_rest(turned: FakeGpu) -> None:
    answer = turned.smi("mig -cgi 19,19,14,9")
    assert answer.returncode == 23
    assert answer.stdout == (
        "Successfully created GPU instance ID 13 on GPU  0 using profile MIG 1g.10gb (ID 19)\n"
        "Successfully created GPU instance ID 11 on GPU  0 using profile MIG 1g.10gb (ID 19)\n"
        "Successfully created GPU instance ID  3 on GPU  0 using profile MIG 2g.20gb (ID 14)\n"
        "Unable to create a GPU instance on GPU  0 using profile 9: Insufficient Resources\n"
        "Failed to create GPU instances: Insufficient Resources\n"
    )
    assert turned.placements() == ["1g.10gb 11 4:1", "1g.10gb 13 6:1", "2g.20gb 3 0:2"]


def test_the_guides_right_order_places_all_four(turned: FakeGpu) -> None:
    turned.said("mig -cgi 9,19,14,19")
    assert turned.placements() == ["1g.10gb 7 0:1", "1g.10gb 8 1:1", "2g.20gb 4 2:2", "3g.40gb 2 4:4"]


def test_a_2g_leaves_its_five_1g_the_last_slot_and_the_left_half(a100: FakeGpu) -> None:
    a100.said("mig -cgi 14,19,19,19,19,19")
    assert a100.placements() == [
        "1g.10gb 9 6:1",
        "1g.10gb 11 0:1",
        "1g.10gb 12 1:1",
        "1g.10gb 13 2:1",
        "1g.10gb 14 3:1",
        "2g.20gb 3 4:2",
    ]


def test_three_2g_and_a_1g_with_media_engines_fit(a100: FakeGpu) -> None:
    a100.said("mig -cgi 14,14,14,20 -C")
    assert a100.placements() == ["1g.10gb+me 9 6:1", "2g.20gb 3 4:2", "2g.20gb 5 0:2", "2g.20gb 6 2:2"]


def test_the_same_layout_has_other_ids_on_another_chip(gpu: FakeGpu) -> None:
    """The published capture; R580 prints the name two columns wider than the driver captured there."""
    gpu.plug({"uuid": LOWER_HALF_FIRST}, {"uuid": UPPER_HALF_FIRST, "pci_bus_id": "00000002:00:00.0"})
    gpu.run("load-driver", "--unload")
    gpu.load_driver("515.86.01")
    gpu.enable()
    gpu.said("mig -cgi 3g.40gb:4,2g.20gb:0,1g.10gb:2,1g.10gb:3")
    assert gpu.said("mig -lgi") == captured.DCGM_LGI


def test_without_i_every_gpu_with_mig_mode_on_gets_the_list(gpu: FakeGpu) -> None:
    gpu.plug({}, {"uuid": UPPER_HALF_FIRST, "pci_bus_id": "00000002:00:00.0"}, {"uuid": LOWER_HALF_FIRST})
    gpu.said("-mig 1 -i 0,1")
    gpu.reboot()
    created = gpu.said("mig -cgi 0")
    assert created == (
        "Successfully created GPU instance ID  0 on GPU  0 using profile MIG 7g.80gb (ID  0)\n"
        "Successfully created GPU instance ID  0 on GPU  1 using profile MIG 7g.80gb (ID  0)\n"
    )


def test_compute_instances_share_a_gpu_instance(a100: FakeGpu) -> None:
    a100.said("mig -cgi 14:0")
    made = "on GPU  0 GPU instance ID  5 using profile MIG 1c.2g.20gb (ID  0)\n"
    assert a100.said("mig -gi 5 -cci 1c.2g.20gb,0") == (
        f"Successfully created compute instance ID  0 {made}Successfully created compute instance ID  1 {made}"
    )
    assert "|   0      5       MIG 1c.2g.20gb       0         1          1:1     |" in a100.said("mig -lci -gi 5")
    assert "|   0      5       MIG 2g.20gb          1*     0/1 " in a100.said("mig -lcip")
    full = a100.smi("mig -cci -gi 5")
    assert full.returncode == 23
    assert full.stdout.endswith("Failed to create compute instances: Insufficient Resources\n")
    assert [line.split()[1] for line in a100.said("-L").splitlines()[1:]] == ["1c.2g.20gb", "1c.2g.20gb"]


def test_a_compute_instance_needs_slices_side_by_side(a100: FakeGpu) -> None:
    a100.said("mig -cgi 9")
    a100.said("mig -cci 0,0,0")
    a100.said("mig -dci -ci 0,2")
    for profile in ("2c.3g.40gb", "3g.40gb"):
        assert a100.smi(f"mig -cci {profile}").returncode == 23
    a100.said("mig -dci")
    a100.said("mig -cci 2c.3g.40gb,1c.3g.40gb")
    assert [line.split()[1] for line in a100.said("-L").splitlines()[1:]] == ["2c.3g.40gb", "1c.3g.40gb"]


def test_cci_without_a_profile_fills_the_gpu_instance(a100: FakeGpu) -> None:
    a100.said("mig -cgi 9,14")
    assert a100.said("mig -cci") == (
        "Successfully created compute instance ID  0 on GPU  0 GPU instance ID  5 using profile MIG 2g.20gb (ID  1)\n"
        "Successfully created compute instance ID  0 on GPU  0 GPU instance ID  1 using profile MIG 3g.40gb (ID  2)\n"
    )


@pytest.mark.parametrize(
    ("wanted", "code", "text"),
    [
        ("9:2", 2, "Invalid Argument"),
        ("9:x", 2, "Invalid Argument"),
        ("3g.20gb", 2, "Invalid Argument"),
        ("99", 2, "Invalid Argument"),
        ("5:0,9:0", 23, "Insufficient Resources"),
        ("0,19", 23, "Insufficient Resources"),
        ("20,20", 23, "Insufficient Resources"),
        ("9,9,19", 23, "Insufficient Resources"),
        ("9,5,19", 23, "Insufficient Resources"),
    ],
)
def test_what_a_gpu_has_not_or_cannot_hold_is_refused(a100: FakeGpu, wanted: str, code: int, text: str) -> None:
    answer = a100.smi(f"mig -cgi {wanted}")
    assert answer.returncode == code
    last = wanted.rsplit(",", maxsplit=1)[-1]
    assert answer.stdout.endswith(
        f"Unable to create a GPU instance on GPU  0 using profile {last}: {text}\n"
        f"Failed to create GPU instances: {text}\n"
    )
    assert len(a100.placements()) == wanted.count(",")


def test_a_profile_has_three_names(a100: FakeGpu) -> None:
    assert a100.run("nvidia-smi", "mig", "-cgi", "9,3g.40gb:0").returncode == 0
    assert a100.placements() == ["3g.40gb 1 4:4", "3g.40gb 2 0:4"]
    assert a100.smi("mig -dgi").returncode == 0
    assert a100.run("nvidia-smi", "mig", "-cgi", "MIG 3g.40gb").returncode == 0


def test_a_30_has_ids_of_its_own(gpu: FakeGpu) -> None:
    gpu.plug({"model": "A30-24GB"})
    gpu.enable()
    assert gpu.said("mig -lgipp") == (
        "GPU  0 Profile ID 14 Placements: {0,1,2,3}:1\n"
        "GPU  0 Profile ID 21 Placements: {0,1,2,3}:1\n"
        "GPU  0 Profile ID  5 Placements: {0,2}:2\n"
        "GPU  0 Profile ID  6 Placements: {0,2}:2\n"
        "GPU  0 Profile ID  0 Placement : {0}:4\n"
    )
    gpu.said("mig -cgi 5,14,21 -C")
    assert gpu.placements() == ["1g.6gb 5 2:1", "1g.6gb+me 6 3:1", "2g.12gb 1 0:2"]
    assert "|   0  MIG 2g.12gb+me       6     0/1        11.69 " in gpu.said("mig -lgip")


def test_instances_go_compute_first(a100: FakeGpu) -> None:
    a100.said("mig -cgi 9,19 -C")
    refused = a100.smi("mig -dgi")
    assert refused.returncode == 19
    assert refused.stdout == (
        "Unable to destroy GPU instance ID  1 from GPU  0: In use by another client\n"
        "Failed to destroy GPU instances: In use by another client\n"
    )
    assert a100.said("mig -dci") == (
        "Successfully destroyed compute instance ID  0 from GPU  0 GPU instance ID  1\n"
        "Successfully destroyed compute instance ID  0 from GPU  0 GPU instance ID 11\n"
    )
    assert a100.said("-L").count("MIG") == 0
    assert a100.said("mig -dgi") == (
        "Successfully destroyed GPU instance ID  1 from GPU  0\nSuccessfully destroyed GPU instance ID 11 from GPU  0\n"
    )
    for command in ("-lgi", "-dgi"):
        answer = a100.smi(f"mig {command}")
        assert (answer.returncode, answer.stdout) == (6, "No GPU instances found: Not Found\n")
    for command in ("-lci", "-dci"):
        answer = a100.smi(f"mig {command}")
        assert (answer.returncode, answer.stdout) == (6, "No compute instances found: Not Found\n")


def test_one_instance_goes_and_the_others_keep_their_uuids(a100: FakeGpu) -> None:
    a100.said("mig -cgi 9,14,19 -C")
    assert a100.said("mig -dci -gi 5 -ci 0 -i 0").count("\n") == 1
    assert a100.said("mig -dgi -gi 5 -i 0") == "Successfully destroyed GPU instance ID  5 from GPU  0\n"
    assert a100.said("-L").splitlines()[1:] == [
        "  MIG 3g.40gb     Device  0: (UUID: MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c)",
        "  MIG 1g.10gb     Device  1: (UUID: MIG-ab3c9061-ac9b-5f7c-801a-8d35188a6422)",
    ]


def test_a_uuid_belongs_to_gpu_and_instance_ids(gpu: FakeGpu) -> None:
    """Made again it is the same; on another GPU it is another; it is a UUID of version 5."""
    gpu.plug({"uuid": UPPER_HALF_FIRST}, {"uuid": LOWER_HALF_FIRST, "pci_bus_id": "00000002:00:00.0"})
    gpu.enable()
    gpu.said("mig -cgi 9,19 -C")
    first = gpu.said("-L")
    uuids = [line.split()[-1].rstrip(")") for line in first.splitlines() if "Device" in line]
    assert len(set(uuids)) == 4
    assert all(uuid.startswith("MIG-") and uuid.split("-")[3][0] == "5" and len(uuid) == 40 for uuid in uuids)
    gpu.reboot()
    gpu.said("mig -cgi 9,19 -C")
    assert gpu.said("-L") == first


def test_only_root_sees_and_changes_instances(a100: FakeGpu) -> None:
    a100.said("mig -cgi 9 -C")
    a100.environment["GPU_PRIVILEGED"] = "0"
    for command in ("-lgi", "-lci", "-lcip", "-cgi 19", "-dci", "-dgi", "-cci"):
        answer = a100.smi(f"mig {command}")
        assert answer.returncode == 4, command
        assert answer.stdout.endswith(": Insufficient Permissions\n"), command
    assert a100.smi("-mig 0").returncode == 4
    for command in ("", "-L", "-q", "-q -x", "mig -lgip", "mig -lgipp", "--query-gpu=uuid --format=csv"):
        assert a100.smi(command).returncode == 0, command


def test_everybody_may_read_what_a_listing_needs(a100: FakeGpu) -> None:
    a100.said("mig -cgi 9 -C")
    for file in (a100.volatile / "state.json", a100.volatile / "driver", a100.hardware / "inforom.json"):
        assert file.stat().st_mode & 0o777 == 0o644, file
    assert a100.volatile.stat().st_mode & 0o777 == 0o755


def test_calls_at_the_same_time_lose_no_instance(a100: FakeGpu) -> None:
    command = [str(a100.bin / "nvidia-smi"), "mig", "-cgi", "19", "-C"]
    calls = [subprocess.Popen(command, env=a100.environment, stdout=subprocess.PIPE) for _ in range(7)]
    assert [call.wait(timeout=20) for call in calls] == [0] * 7
    assert len(a100.placements()) == 7
    for call in calls:
        call.communicate()
