"""mig-apply against the sandbox's nvidia-smi, whose own state tells what really happened."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from gpu_on_machine import Gpus, layout, layout_json

Make = Callable[..., Gpus]
TUTORIAL = layout("3g.40gb:4", "2g.20gb:0", "1g.10gb:2")
SEVEN = layout(*(f"1g.10gb:{start}" for start in range(7)))


def apply(
    gpus: Gpus, *wanted: dict[str, Any], options: tuple[str, ...] = (), own_process: bool = False
) -> tuple[int, dict[str, Any], subprocess.CompletedProcess[str]]:
    """Exit code, report, and the whole. What is killed on the way needs a process of its own."""
    run = gpus.machine.run if own_process else gpus.machine.call
    ended = run("mig-apply", "--layout", "-", *options, stdin=layout_json(*wanted))
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else {}, ended


@pytest.fixture
def a100(gpus: Make) -> Gpus:
    """An A100 with MIG mode on and no instances."""
    made = gpus("A100-80GB")
    made.enable()
    return made


def test_the_tutorials_layout_is_made_with_explicit_placements_and_read_back(a100: Gpus) -> None:
    code, report, ended = apply(a100, TUTORIAL, own_process=True)
    assert code == 0, ended.stderr
    assert a100.places() == ["14:0", "19:2", "9:4"]
    (gpu,) = report["gpus"]
    assert gpu["commands"] == ["nvidia-smi mig -i 0 -cgi 9:4,14:0,19:2 -C"]
    assert [(i["profile"], i["start"]) for i in gpu["instances"]] == [("2g.20gb", 0), ("1g.10gb", 2), ("3g.40gb", 4)]
    uuids = [uuid for instance in gpu["instances"] for uuid in instance["uuids"]]
    assert len(set(uuids)) == 3
    assert all(uuid.startswith("MIG-") for uuid in uuids)
    assert (report["applied"], report["changed"], gpu["outcome"]) == (True, True, "changed")
    assert "GPU 0  changed" in ended.stderr


def test_a_second_run_does_nothing(a100: Gpus) -> None:
    apply(a100, TUTORIAL)
    before = a100.state()
    code, report, _ = apply(a100, TUTORIAL)
    assert code == 0
    assert (report["changed"], report["gpus"][0]["commands"]) == (False, [])
    assert a100.state() == before


def test_from_seven_small_ones_to_3g_and_four_the_four_stay(a100: Gpus) -> None:
    apply(a100, SEVEN)
    before = {instance["start"]: instance for instance in a100.state()}
    code, report, _ = apply(a100, layout("3g.40gb:4", *(f"1g.10gb:{start}" for start in range(4))))
    assert code == 0
    assert a100.places() == ["19:0", "19:1", "19:2", "19:3", "9:4"]
    assert [instance for instance in a100.state() if instance["start"] < 4] == [before[start] for start in range(4)]
    assert report["gpus"][0]["kept"] == ["1g.10gb at 0", "1g.10gb at 1", "1g.10gb at 2", "1g.10gb at 3"]
    assert report["gpus"][0]["removed"] == ["1g.10gb at 4", "1g.10gb at 5", "1g.10gb at 6"]
    assert report["gpus"][0]["created"] == ["3g.40gb at 4"]


def test_no_instances_is_a_layout_too(a100: Gpus) -> None:
    apply(a100, SEVEN)
    assert apply(a100, layout())[0] == 0
    assert a100.places() == []
    assert apply(a100, layout())[1]["changed"] is False


def test_foreign_instances_are_removed_and_incomplete_ones_completed(a100: Gpus) -> None:
    a100.smi("mig", "-cgi", "14:4", "-C")  # somebody else's
    a100.smi("mig", "-cgi", "9:0")  # without compute instance
    code, report, _ = apply(a100, layout("3g.40gb:0", "1g.10gb:6"))
    assert code == 0
    assert a100.places() == ["9:0", "19:6"]
    assert report["gpus"][0]["removed"] == ["2g.20gb at 4"]


def test_several_small_compute_instances_become_one_of_full_size(a100: Gpus) -> None:
    a100.smi("mig", "-cgi", "9:0")
    a100.smi("mig", "-gi", str(a100.state()[0]["id"]), "-cci", "0,0")
    assert a100.places() == ["9:0-"]
    assert apply(a100, layout("3g.40gb:0"))[0] == 0
    assert a100.places() == ["9:0"]
    assert a100.state()[0]["compute"][0]["profile"] == 2  # 3c, the full size


def test_ids_are_those_of_the_gpu_not_of_another_model(gpus: Make) -> None:
    a30 = gpus("A30-24GB")
    a30.enable()
    code, report, ended = apply(a30, layout("2g.12gb:0", "1g.6gb:2", "1g.6gb:3"))
    assert code == 0, ended.stderr
    assert report["gpus"][0]["commands"] == ["nvidia-smi mig -i 0 -cgi 5:0,14:2,14:3 -C"]
    assert a30.places() == ["5:0", "14:2", "14:3"]


def test_gpus_of_one_machine_may_differ(gpus: Make) -> None:
    two = gpus("A100-80GB", "A100-80GB")
    two.enable()
    assert apply(two, TUTORIAL, {**SEVEN, "index": 1})[0] == 0
    assert two.places(0) == ["14:0", "19:2", "9:4"]
    assert two.places(1) == [f"19:{start}" for start in range(7)]


def test_an_h100_takes_mig_mode_at_once(gpus: Make) -> None:
    h100 = gpus("H100-80GB")
    code, report, ended = apply(h100, TUTORIAL)
    assert code == 0, ended.stderr
    assert report["gpus"][0]["commands"][0] == "nvidia-smi -i 0 -mig 1"
    assert h100.mode() == ["Enabled, Enabled"]
    assert h100.places() == ["14:0", "19:2", "9:4"]


def test_an_a100_with_mode_off_is_refused_and_left_as_it_was(gpus: Make) -> None:
    a100 = gpus("A100-80GB")
    code, report, _ = apply(a100, TUTORIAL)
    assert code == 1
    assert "needs a reboot" in report["gpus"][0]["reason"]
    assert report["gpus"][0]["restored"] is True
    assert a100.mode() == ["Disabled, Disabled"]


# ---- layouts that are none


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        (("3g.41gb:0",), "no profile 3g.41gb; this GPU has 1g.10gb"),
        (("3g.40gb:1",), "no place for 3g.40gb at 1; 3g.40gb starts at 0, 4"),
        (("3g.40gb:0", "1g.10gb:2"), "two instances want memory slice 2"),
        (("1g.10gb+me:0", "1g.10gb+me:1"), "2 × 1g.10gb+me, at most 1 fit"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused_before_anything_is_touched(
    a100: Gpus, instances: tuple[str, ...], said: str
) -> None:
    apply(a100, SEVEN)
    before = a100.state()
    code, report, ended = apply(a100, layout(*instances))
    assert code == 1
    assert said in report["gpus"][0]["reason"]
    assert said in ended.stderr
    assert a100.state() == before


def test_a_gpu_that_cannot_take_its_part_keeps_the_others_from_being_touched(gpus: Make) -> None:
    two = gpus("A100-80GB", "A100-80GB")
    two.enable()
    code, report, _ = apply(two, TUTORIAL, layout("3g.41gb:0", index=1))
    assert code == 1
    assert [gpu["outcome"] for gpu in report["gpus"]] == ["refused", "failed"]
    assert (two.places(0), two.places(1)) == ([], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the layout is not understood"),
        ('{"version":2,"gpus":[]}', "the layout has version 2, this mig-apply understands 1"),
        (layout_json(layout("1g.10gb:0", mode=False)), "there are no instances without MIG mode"),
        (layout_json(TUTORIAL, SEVEN), "the layout names a GPU twice"),
    ],
)
def test_a_text_that_is_no_layout_is_told_without_a_traceback(a100: Gpus, text: str, said: str) -> None:
    ended = a100.machine.call("mig-apply", "--layout", "-", stdin=text)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


# ---- faults


def test_a_creation_that_fails_half_way_gives_back_what_was_there(a100: Gpus) -> None:
    apply(a100, SEVEN)
    before = a100.places()
    a100.faults(cgi_fails_at=2)  # the 3g is made, the 2g is not
    code, report, ended = apply(a100, TUTORIAL)
    assert code == 1
    assert a100.places() == before
    assert report["gpus"][0]["restored"] is True
    assert "nvidia-smi said:" in report["gpus"][0]["reason"]
    assert "has what it had before" in ended.stderr
    a100.faults()
    assert apply(a100, TUTORIAL)[0] == 0


def test_success_that_was_only_claimed_is_not_believed(a100: Gpus) -> None:
    a100.faults(cgi_claims_success=True)
    code, report, _ = apply(a100, TUTORIAL)
    assert code == 1
    assert report["gpus"][0]["reason"].startswith(
        "it shows no instances afterwards; nvidia-smi said: Successfully created"
    )
    assert not (a100.machine.root / "etc/mig-k8s/layout.json").exists()


def test_a_busy_instance_stays_with_everything_else_and_is_named(a100: Gpus) -> None:
    _, report, _ = apply(a100, SEVEN)
    busy = report["gpus"][0]["instances"][5]
    before = a100.state()
    a100.faults(busy=busy["uuids"])
    code, report, _ = apply(a100, TUTORIAL)
    assert code == 1
    assert f"{busy['profile']} at {busy['start']} cannot be removed" in report["gpus"][0]["reason"]
    assert "In use by another client" in report["gpus"][0]["reason"]
    assert report["gpus"][0]["restored"] is True
    assert [(i["id"], i["start"]) for i in a100.state()] == [(i["id"], i["start"]) for i in before]


def test_a_busy_instance_that_can_stay_is_in_nobodys_way(a100: Gpus) -> None:
    _, report, _ = apply(a100, SEVEN)
    a100.faults(busy=report["gpus"][0]["instances"][0]["uuids"])
    assert apply(a100, layout("3g.40gb:4", *(f"1g.10gb:{start}" for start in range(4))))[0] == 0


def test_an_nvidia_smi_that_hangs_ends_with_a_sentence(a100: Gpus) -> None:
    script = a100.machine.root / "usr/local/sbin/mig-apply"
    script.write_text(
        script.read_text(encoding="utf-8").replace("SMI_SECONDS = 120", "SMI_SECONDS = 1"), encoding="utf-8"
    )
    a100.faults(hang="-lgip")
    code, report, _ = apply(a100, TUTORIAL)
    assert code == 1
    assert "`nvidia-smi mig -i 0 -lgipp` did not answer within 1 s" in report["gpus"][0]["reason"]


def test_a_gpu_that_fell_off_the_bus_is_named(gpus: Make) -> None:
    two = gpus("A100-80GB", "A100-80GB")
    two.enable()
    two.faults(off_the_bus=[1])
    code, report, _ = apply(two, TUTORIAL, {**SEVEN, "index": 1})
    assert code == 1
    assert report["gpus"][1]["reason"].startswith("GPU 1 does not tell its MIG mode: ")


def test_a_machine_without_driver_says_so(a100: Gpus) -> None:
    a100.machine.run("load-driver", "--unload")
    code, report, _ = apply(a100, TUTORIAL)
    assert code == 1
    assert "couldn't communicate with the NVIDIA driver" in report["gpus"][0]["reason"]


def test_ended_by_a_signal_it_gives_back_what_was_there(a100: Gpus) -> None:
    apply(a100, SEVEN)
    before = a100.places()
    real = (a100.machine.programs / "nvidia-smi").readlink()
    a100.machine.run("ln", "-s", str(real), str(a100.machine.programs / "real-gpu"))
    (a100.machine.programs / "nvidia-smi").unlink()
    # In the middle of the change: everything is removed, nothing is made yet.
    a100.machine.program(
        "nvidia-smi",
        'case "$*" in *-cgi*9:4*) kill -TERM $PPID; sleep 1 ;; esac\nexec real-gpu nvidia-smi "$@"',
    )
    code, _, ended = apply(a100, TUTORIAL, own_process=True)
    assert code == 1
    assert "ended by SIGTERM" in ended.stderr
    assert a100.places() == before
    assert not a100.machine.run("pgrep", "-f", "real-gpu").stdout


# ---- dry run


def test_a_dry_run_prints_exactly_what_would_be_done_and_changes_nothing(a100: Gpus) -> None:
    apply(a100, SEVEN)
    before = a100.state()
    code, report, ended = apply(a100, TUTORIAL, options=("--dry-run",))
    assert code == 0
    assert a100.state() == before
    planned = report["gpus"][0]["commands"]
    assert all(f"       {command}\n" in ended.stderr for command in planned)
    assert report["gpus"][0]["outcome"] == "planned"
    assert apply(a100, TUTORIAL)[1]["gpus"][0]["commands"] == planned


def test_a_dry_run_works_with_mig_mode_off_and_leaves_it_off(gpus: Make) -> None:
    h100 = gpus("H100-80GB")
    code, report, _ = apply(h100, TUTORIAL, options=("--dry-run",))
    assert code == 0
    assert report["gpus"][0]["commands"] == ["nvidia-smi -i 0 -mig 1", "nvidia-smi mig -i 0 -cgi 9:4,14:0,19:2 -C"]
    assert h100.mode() == ["Disabled, Disabled"]
    assert not (h100.machine.root / "etc/mig-k8s/layout.json").exists()


# ---- boots


@pytest.mark.parametrize("model", ["A100-80GB", "H100-80GB"])
def test_every_boot_makes_the_same_instances_again(gpus: Make, model: str) -> None:
    gpu = gpus(model)
    gpu.enable()
    assert apply(gpu, TUTORIAL)[0] == 0
    before = gpu.state()
    gpu.reboot()
    assert gpu.places() == []
    ended = gpu.machine.call("mig-apply", "--boot")
    assert ended.returncode == 0, ended.stderr
    assert gpu.state() == before


def test_a_failed_layout_is_not_remembered(a100: Gpus) -> None:
    apply(a100, TUTORIAL)
    apply(a100, layout("3g.41gb:0"))
    a100.reboot()
    a100.machine.call("mig-apply", "--boot")
    assert a100.places() == ["14:0", "19:2", "9:4"]


def test_a_boot_does_what_it_can_on_each_gpu(gpus: Make) -> None:
    two = gpus("A100-80GB", "A100-80GB")
    two.enable()
    two.machine.desired(mig={"mode": [True, True]})
    apply(two, TUTORIAL, {**SEVEN, "index": 1})
    two.reboot()
    two.faults(off_the_bus=[1])
    assert two.machine.call("mig-apply", "--boot").returncode == 1
    assert two.places(0) == ["14:0", "19:2", "9:4"]


def test_a_machine_that_was_never_given_a_layout_boots_without_one(a100: Gpus) -> None:
    ended = a100.machine.call("mig-apply", "--boot")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["gpus"] == []


@pytest.mark.parametrize("mig", [None, {"mode": [False]}])
def test_a_boot_leaves_a_gpu_alone_that_shall_be_something_newer(a100: Gpus, mig: dict[str, Any] | None) -> None:
    apply(a100, TUTORIAL)
    a100.machine.desired(mig=mig)
    a100.reboot()
    assert a100.machine.call("mig-apply", "--boot").returncode == 0
    assert a100.places() == []


# ---- a full disk


def fill_disk(gpus: Gpus, name: str) -> None:
    """From now on mig-apply finds no room for the content of a file of this name."""
    script = gpus.machine.root / "usr/local/sbin/mig-apply"
    text = script.read_text(encoding="utf-8")
    fsync = "os.fsync(stream.fileno())"
    assert text.count(fsync) == 1
    full = f"{fsync} if path.name != {name!r} else os.write(os.open('/dev/full', os.O_WRONLY), b'x')"
    script.write_text(text.replace(fsync, full), encoding="utf-8")


def test_a_layout_that_cannot_be_remembered_is_made_reported_and_fails(a100: Gpus) -> None:
    apply(a100, SEVEN)
    before = a100.machine.read("etc/mig-k8s/layout.json")
    fill_disk(a100, "layout.json")
    code, report, ended = apply(a100, TUTORIAL)
    assert (code, report["gpus"][0]["outcome"]) == (1, "changed")
    assert a100.places() == ["14:0", "19:2", "9:4"]
    assert (
        f"the GPUs have the layout, but no boot will make it again: cannot write {a100.machine.root}/etc/mig-k8s/"
        "layout.json: No space left on device. Make room (`df -h`, "
    ) in ended.stderr
    assert a100.machine.read("etc/mig-k8s/layout.json") == before
    assert not (a100.machine.root / "etc/mig-k8s/layout.new").exists()


def test_without_room_for_a_note_of_what_is_paused_nothing_is_touched(a100: Gpus) -> None:
    apply(a100, SEVEN)
    before = a100.state()
    fill_disk(a100, "paused")
    code, report, _ = apply(a100, TUTORIAL)
    assert (code, report["gpus"][0]["outcome"]) == (1, "refused")
    assert "No space left on device" in report["gpus"][0]["reason"]
    assert a100.state() == before
