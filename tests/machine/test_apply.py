"""`apply` against the sandbox's nvidia-smi, whose own state tells what really happened."""

import json
from collections.abc import Callable

import pytest
from calls import Called, call, call_process
from gpus import FOUR_STAY, SEVEN, TUTORIAL, Gpus, gpu_layout, layout

from machine.documents.layout import GpuLayout
from machine.host.program import Ended
from machine.host.this_machine import ThisMachine

Make = Callable[..., Gpus]


def apply(gpus: Gpus, *wanted: GpuLayout, options: tuple[str, ...] = ()) -> Called:
    return call(gpus.machine, "apply", "--json", *options, stdin=layout(*wanted))


def test_the_tutorials_layout_is_made_with_explicit_placements_and_read_back(a100: Gpus) -> None:
    ended = call_process(a100.machine, "apply", stdin=layout(TUTORIAL))
    assert ended.status == 0, ended.stderr
    assert a100.places() == ["14:0", "19:2", "9:4"]
    (gpu,) = ended.report.gpus
    assert gpu.commands == ("nvidia-smi mig -i 0 -cgi 9:4,14:0,19:2 -C",)
    assert [(i.profile, i.start) for i in gpu.instances] == [("2g.20gb", 0), ("1g.10gb", 2), ("3g.40gb", 4)]
    uuids = [uuid for instance in gpu.instances for uuid in instance.uuids]
    assert len(set(uuids)) == 3
    assert set(uuids) == set(a100.uuids_of_devices())
    assert (ended.report.applied, ended.report.changed, gpu.outcome, gpu.mode) == (True, True, "changed", True)
    assert "GPU 0  changed\n       makes 3g.40gb at 4, 2g.20gb at 0, 1g.10gb at 2\n" in ended.stderr


def test_a_second_run_does_nothing(a100: Gpus) -> None:
    apply(a100, TUTORIAL)
    before = a100.state()
    ended = apply(a100, TUTORIAL)
    assert (ended.status, ended.report.changed, ended.report.gpus[0].commands) == (0, False, ())
    assert a100.state() == before


def test_a_gpu_that_is_right_is_read_once_and_reported_as_it_was_read(a100: Gpus) -> None:
    made = apply(a100, TUTORIAL).report.gpus[0]
    asked: list[str] = []

    def answer(command: tuple[str, ...], stdin: str) -> Ended:
        asked.append(" ".join(command[1:]))
        return ThisMachine.run(a100.machine, *command, stdin=stdin)

    a100.machine.answers["nvidia-smi"] = answer
    (gpu,) = apply(a100, TUTORIAL).report.gpus
    assert len(asked) == len(set(asked)) == 7
    assert (gpu.mode, gpu.instances) == (made.mode, made.instances)


def test_from_seven_small_ones_to_3g_and_four_the_four_stay(a100: Gpus) -> None:
    apply(a100, SEVEN)
    before = {instance["start"]: instance for instance in a100.state()}
    ended = apply(a100, FOUR_STAY)
    assert ended.status == 0
    assert a100.places() == ["19:0", "19:1", "19:2", "19:3", "9:4"]
    assert [instance for instance in a100.state() if instance["start"] < 4] == [before[start] for start in range(4)]
    (gpu,) = ended.report.gpus
    assert gpu.kept == ("1g.10gb at 0", "1g.10gb at 1", "1g.10gb at 2", "1g.10gb at 3")
    assert gpu.removed == ("1g.10gb at 4", "1g.10gb at 5", "1g.10gb at 6")
    assert gpu.created == ("3g.40gb at 4",)


def test_no_instances_is_a_layout_too(a100: Gpus) -> None:
    apply(a100, SEVEN)
    assert apply(a100, gpu_layout()).status == 0
    assert a100.places() == []
    assert apply(a100, gpu_layout()).report.changed is False


def test_foreign_instances_are_removed_and_incomplete_ones_completed(a100: Gpus) -> None:
    a100.smi("mig", "-cgi", "14:4", "-C")  # somebody else's
    a100.smi("mig", "-cgi", "9:0")  # without compute instance
    ended = apply(a100, gpu_layout("3g.40gb:0", "1g.10gb:6"))
    assert ended.status == 0
    assert a100.places() == ["9:0", "19:6"]
    assert ended.report.gpus[0].removed == ("2g.20gb at 4",)


def test_several_small_compute_instances_become_one_of_full_size(a100: Gpus) -> None:
    a100.smi("mig", "-cgi", "9:0")
    a100.smi("mig", "-gi", str(a100.state()[0]["id"]), "-cci", "0,0")
    assert a100.places() == ["9:0-"]
    assert apply(a100, gpu_layout("3g.40gb:0")).status == 0
    assert a100.places() == ["9:0"]
    assert a100.state()[0]["compute"][0]["profile"] == 2  # 3c, the full size


def test_ids_are_those_of_the_gpu_not_of_another_model(gpus: Make) -> None:
    a30 = gpus("A30-24GB")
    a30.enable()
    ended = apply(a30, gpu_layout("2g.12gb:0", "1g.6gb:2", "1g.6gb:3"))
    assert ended.status == 0, ended.stderr
    assert ended.report.gpus[0].commands == ("nvidia-smi mig -i 0 -cgi 5:0,14:2,14:3 -C",)
    assert a30.places() == ["5:0", "14:2", "14:3"]


def test_gpus_of_one_machine_may_differ(gpus: Make) -> None:
    two = gpus("A100-80GB", "A100-80GB")
    two.enable()
    assert apply(two, TUTORIAL, GpuLayout(1, mode=True, instances=SEVEN.instances)).status == 0
    assert two.places(0) == ["14:0", "19:2", "9:4"]
    assert two.places(1) == [f"19:{start}" for start in range(7)]


def test_an_h100_takes_mig_mode_at_once(gpus: Make) -> None:
    h100 = gpus("H100-80GB")
    ended = apply(h100, TUTORIAL)
    assert ended.status == 0, ended.stderr
    assert ended.report.gpus[0].commands[0] == "nvidia-smi -i 0 -mig 1"
    assert h100.mode() == ["Enabled, Enabled"]
    assert h100.places() == ["14:0", "19:2", "9:4"]


def test_an_a100_with_mode_off_is_refused_and_left_as_it_was(gpus: Make) -> None:
    a100 = gpus("A100-80GB")
    ended = apply(a100, TUTORIAL)
    assert ended.status == 1
    assert "needs a reboot" in ended.report.gpus[0].reason
    assert ended.report.gpus[0].restored is True
    assert a100.mode() == ["Disabled, Disabled"]


# ---- its standard output


def test_a_success_prints_the_report_and_a_failure_words_only_unless_it_is_asked_for(a100: Gpus) -> None:
    good = call(a100.machine, "apply", stdin=layout(TUTORIAL))
    assert (good.status, good.report.applied) == (0, True)
    bad = call(a100.machine, "apply", stdin=layout(gpu_layout("3g.41gb:0")))
    assert (bad.status, bad.stdout) == (1, "")
    assert bad.stderr.startswith("GPU 0  failed: the layout does not fit GPU 0: no profile 3g.41gb; this GPU has ")
    asked = apply(a100, gpu_layout("3g.41gb:0"))
    assert (asked.status, asked.report.applied, asked.report.gpus[0].outcome) == (1, False, "failed")


def test_a_layout_for_another_machine_is_refused_and_the_gpus_stay_as_they_are(a100: Gpus) -> None:
    machine, before = a100.machine, a100.state()
    ended = call(machine, "apply", "--node", "gpu-1", stdin=layout(TUTORIAL))
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.stderr.startswith("mig-k8s: this machine is mlops-k8s-master, and what came is for gpu-1: nothing was")
    assert a100.state() == before
    assert call(machine, "apply", "--node", "mlops-k8s-master", stdin=layout(TUTORIAL)).status == 0


def test_a_layout_may_come_from_a_file(a100: Gpus) -> None:
    path = a100.machine.write("etc/wanted.json", layout(TUTORIAL))
    assert call(a100.machine, "apply", "--layout", str(path)).status == 0
    assert a100.places() == ["14:0", "19:2", "9:4"]
    missing = call(a100.machine, "apply", "--layout", f"{path}.not")
    assert (missing.status, missing.stdout) == (2, "")
    assert "No such file or directory" in missing.stderr


# ---- layouts that are none


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        (("3g.41gb:0",), "no profile 3g.41gb; this GPU has 1g.10gb"),
        (("3g.40gb:1",), "no place for 3g.40gb at 1; 3g.40gb starts at 0, 4"),
        (("3g.40gb:0", "1g.10gb:2"), "two instances want memory slice 2"),
        (("2g.20gb:2", "1g.10gb:3"), "two instances want memory slice 3"),
        (("1g.10gb+me:0", "1g.10gb+me:1"), "2 × 1g.10gb+me, at most 1 fit"),
        (("3g.41gb:0", "3g.40gb:1"), "; no place for 3g.40gb at 1"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused_before_anything_is_touched(
    a100: Gpus, instances: tuple[str, ...], said: str
) -> None:
    apply(a100, SEVEN)
    before = a100.state()
    ended = apply(a100, gpu_layout(*instances))
    assert ended.status == 1
    assert said in ended.report.gpus[0].reason
    assert said in ended.stderr
    assert a100.state() == before


def test_a_gpu_that_cannot_take_its_part_keeps_the_others_from_being_touched(gpus: Make) -> None:
    two = gpus("A100-80GB", "A100-80GB")
    two.enable()
    ended = apply(two, TUTORIAL, gpu_layout("3g.41gb:0", index=1))
    assert ended.status == 1
    assert [gpu.outcome for gpu in ended.report.gpus] == ["refused", "failed"]
    assert (two.places(0), two.places(1)) == ([], [])


PLACE = {"profile": "1g.10gb", "start": 0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the layout is not JSON"),
        ('{"gpus":[]}', "the layout has no version"),
        ('{"version":2,"gpus":[]}', "the layout has version 2, this release of mig-k8s understands 1"),
        (
            json.dumps({"version": 1, "gpus": [{"index": 0, "mode": False, "instances": [PLACE]}]}),
            "GPU 0 has instances without MIG mode",
        ),
        (layout(TUTORIAL)[:-4], "the layout is not JSON"),
        (json.dumps({"version": 1, "gpus": 2 * [{"index": 0, "mode": True, "instances": []}]}), "a GPU is named twice"),
    ],
)
def test_a_text_that_is_not_a_layout_is_told_without_a_traceback(a100: Gpus, text: str, said: str) -> None:
    ended = call(a100.machine, "apply", stdin=text)
    assert (ended.status, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


# ---- dry run


def test_a_dry_run_prints_exactly_what_would_be_done_and_changes_nothing(a100: Gpus) -> None:
    apply(a100, SEVEN)
    before, remembered = a100.state(), a100.machine.read("etc/mig-k8s/layout.json")
    ended = call(a100.machine, "apply", "--dry-run", stdin=layout(TUTORIAL))
    assert ended.status == 0
    assert a100.state() == before
    assert a100.machine.read("etc/mig-k8s/layout.json") == remembered
    planned = ended.report.gpus[0].commands
    assert all(f"       {command}\n" in ended.stderr for command in planned)
    assert (ended.report.gpus[0].outcome, ended.report.applied) == ("planned", False)
    assert apply(a100, TUTORIAL).report.gpus[0].commands == planned
    assert call(a100.machine, "apply", "--dry-run", stdin=layout(TUTORIAL)).report.gpus[0].outcome == "unchanged"


def test_a_dry_run_works_with_mig_mode_off_and_leaves_it_off(gpus: Make) -> None:
    h100 = gpus("H100-80GB")
    ended = apply(h100, TUTORIAL, options=("--dry-run",))
    assert ended.status == 0
    commands = ("nvidia-smi -i 0 -mig 1", "nvidia-smi mig -i 0 -cgi 9:4,14:0,19:2 -C")
    assert ended.report.gpus[0].commands == commands
    assert h100.mode() == ["Disabled, Disabled"]
    assert not h100.machine.path("/etc/mig-k8s/layout.json").exists()


def test_a_dry_run_of_a_layout_that_does_not_fit_fails(a100: Gpus) -> None:
    ended = call(a100.machine, "apply", "--dry-run", stdin=layout(gpu_layout("3g.40gb:1")))
    assert (ended.status, ended.stdout) == (1, "")
