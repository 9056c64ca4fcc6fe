"""What the time of an `up` went into: by the engine's state and history and the machine's records, drawn."""

import dataclasses
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from machine.documents.result import Outcome, Result, StageResult, Work
from scripts.stack import StackError
from scripts.timeline.last_up import draw, last, records
from scripts.timeline.span import Span, covered
from scripts.timeline.svg import svg
from scripts.timeline.text import text
from scripts.timeline.update import Timeline, timeline

HISTORY = [
    {"kind": "refresh", "startTime": "2026-11-28T11:00:00.000Z", "endTime": "2026-11-28T11:00:05.000Z"},
    {"kind": "update", "startTime": "2026-11-28T10:00:00.000Z", "endTime": "2026-11-28T10:03:20.000Z"},
    {"kind": "update", "startTime": "2026-11-20T10:00:00.000Z", "endTime": "2026-11-20T10:09:00.000Z"},
]
CLOUD_INIT = """\
Cloud-init v. 25.2 running 'init' at Sat, 28 Nov 2026 10:00:24 +0000. Up 9.9 seconds.
Cloud-init v. 25.2 finished at Sat, 28 Nov 2026 10:00:30 +0000. Datasource DataSourceAzure. Up 15 seconds
"""


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:prod::mig-k8s::{kind}::{name}"


def resource(kind: str, name: str, modified: str, *dependencies: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """`modified`: minutes and seconds."""
    return {
        "urn": urn(kind, name),
        "type": kind,
        "custom": True,
        "created": "2026-11-20T10:00:10Z",
        "modified": f"2026-11-28T10:{modified}Z",
        "dependencies": list(dependencies),
        **more,
    }


COMMAND, RELEASE, VM = "command:remote:Command", "kubernetes:helm.sh/v3:Release", "azure-native:compute:VirtualMachine"
PROVIDER, AZURE = (
    urn("pulumi:providers:kubernetes", "cluster-kubernetes"),
    urn("pulumi:providers:azure-native", "default_3_29_0"),
)
GPU, SECOND = urn("mig-k8s:index:NodeSoftware", "gpu"), urn("mig-k8s:index:NodeSoftware", "gpu-1")
OPERATOR = urn("mig-k8s:index:GpuOperator", "gpu-operator")
VM_URN, READY = urn(VM, "gpu-vm"), urn(COMMAND, "gpu-ready")
RESOURCES = [
    resource("pulumi:pulumi:Stack", "mig-k8s-prod", "00:03", custom=False),
    resource("pulumi:providers:azure-native", "default_3_29_0", "00:04"),
    resource(VM, "gpu-vm", "00:10", parent=GPU, provider=f"{AZURE}::1"),
    resource(COMMAND, "gpu-release", "00:26", VM_URN, parent=GPU),
    resource(COMMAND, "gpu-converge", "01:10", urn(COMMAND, "gpu-release"), parent=GPU),
    resource(COMMAND, "gpu-ready", "02:40.250", urn(COMMAND, "gpu-converge"), parent=GPU),
    resource("pulumi:providers:kubernetes", "cluster-kubernetes", "02:41", READY),
    resource(RELEASE, "gpu-operator-release", "03:00", READY, provider=f"{PROVIDER}::2", parent=OPERATOR),
    resource(COMMAND, "gpu-1-ready", "02:20", parent=SECOND),
    {**resource(COMMAND, "old", "00:00"), "modified": "2026-11-27T10:00:00Z"},
    {**resource("mig-k8s:index:Machine", "gpu", "00:05"), "custom": False},
]


def stage(name: str, started: str, seconds: float, outcome: Outcome = "done", boot: str = "first") -> StageResult:
    worked = Work(f"2026-11-28T10:{started}Z", "", seconds, outcome, boot)
    return StageResult(name, "", "2026-11-28T10:01:40Z", None, "unchanged", "", "second", worked=worked)


RESULT = Result(
    boot_id="second",
    stages=(
        stage("apt", "00:27", 5.0),
        stage("driver", "00:32", 30.0),
        stage("mig-mode", "01:02", 1.0, "reboot"),
        stage("rke2-download", "00:27", 20.0),
        stage("rke2", "01:45", 50.0, boot="second"),
    ),
)


@pytest.fixture
def drawn() -> Timeline:
    found = timeline(RESOURCES, HISTORY, {"gpu": (CLOUD_INIT, RESULT), "gpu-1": ("", Result())})
    assert found is not None
    return found


def seen(spans: Any) -> list[tuple[str, str, float]]:  # noqa: ANN401
    return [(span.lane, span.name, span.seconds) for span in spans]


def test_the_last_up_counts_and_what_it_did_not_change_is_left_out(drawn: Timeline) -> None:
    assert (drawn.begun, drawn.seconds) == (datetime(2026, 11, 28, 10, tzinfo=UTC), 200.0)
    assert "old" not in [span.name for lane in drawn.lanes.values() for span in lane]


def test_before_the_first_up_there_is_nothing_to_draw() -> None:
    assert timeline(RESOURCES, HISTORY[:1], {}) is None


def test_a_resource_begins_when_the_last_one_it_depends_on_has_ended(drawn: Timeline) -> None:
    assert seen(drawn.lanes["stack"]) == [
        ("stack", "program starts", 3.0),
        ("stack", "cluster-kubernetes", 0.75),
        ("stack", "gpu-operator-release", 19.0),
    ]


def test_a_provider_that_the_engine_makes_by_itself_is_nothing_that_anybody_waited_for(drawn: Timeline) -> None:
    """Its end is in the state, and not that it was begun when the first resource needed it."""
    assert "default_3_29_0" not in [span.name for span in drawn.lanes["stack"]]


def test_a_machine_has_its_own_resources_and_not_those_of_one_whose_name_begins_alike(drawn: Timeline) -> None:
    assert [name for _, name, _ in seen(drawn.lanes["gpu-1"])] == ["ready"]
    assert seen(drawn.lanes["gpu"]) == [
        ("gpu", "vm", 7.0),
        ("gpu", "boot", 21.0),
        ("gpu", "release", 16.0),
        ("gpu", "cloud-init", 6.0),
        ("gpu", "converge", 44.0),
        ("gpu", "rke2-download", 20.0),
        ("gpu", "apt", 2.0),
        ("gpu", "driver", 30.0),
        ("gpu", "mig-mode", 1.0),
        ("gpu", "reboot", 37.0),
        ("gpu", "ready", 90.25),
        ("gpu", "rke2", 50.0),
    ]


def test_the_critical_path_has_no_gap_and_shows_what_the_machine_did_while_it_was_waited_for(drawn: Timeline) -> None:
    assert seen(drawn.path) == [
        ("stack", "program starts", 3.0),
        ("gpu", "boot", 21.0),
        ("gpu", "release", 2.0),
        ("gpu", "cloud-init", 4.0),
        ("gpu", "apt", 2.0),
        ("gpu", "driver", 30.0),
        ("gpu", "mig-mode", 1.0),
        ("gpu", "reboot", 37.0),
        ("gpu", "ready", 5.0),
        ("gpu", "rke2", 50.0),
        ("gpu", "ready", 5.25),
        ("stack", "cluster-kubernetes", 0.75),
        ("stack", "gpu-operator-release", 19.0),
    ]
    for earlier, later in zip(drawn.path, drawn.path[1:], strict=False):
        assert abs((later.begins - earlier.ends).total_seconds()) < 1.01


def test_what_nobody_can_avoid_is_boot_reboot_and_downloads_each_second_once(drawn: Timeline) -> None:
    assert drawn.unavoidable == 58.0
    moment = drawn.begun
    assert (
        covered(
            Span(lane="a", name="b", begins=moment.replace(second=begins), ends=moment.replace(second=ends))
            for begins, ends in ((10, 30), (0, 20), (25, 28), (40, 50))
        )
        == 40.0
    )


def test_the_text_has_a_row_for_each_thing_and_fits_its_width(drawn: Timeline) -> None:
    lines = text(drawn, 80).splitlines()
    assert lines[0] == (
        "up: 200 s, 3.45 × the 58 s that nobody can avoid (boot and reboot; downloads are not known here)"
    )
    assert max(map(len, lines[1:])) <= 80
    assert lines[2] == f"stack{' ' * 21}0 s{' ' * 37}200 s"
    row = next(line for line in lines if line.startswith("  driver "))
    assert re.fullmatch(r"  driver {18} +█{7} + 30\.0 s", row)
    assert "░" in next(line for line in lines if line.startswith("  rke2-download"))
    assert "critical path: stack: program starts 3.0 s → gpu: boot 21.0 s" in " ".join(text(drawn, 400).splitlines())


@pytest.mark.parametrize("width", range(60, 100))
def test_no_line_of_the_path_ends_between_a_number_and_its_unit(drawn: Timeline, width: int) -> None:
    lines = text(drawn, width).splitlines()
    path = lines[next(number for number, line in enumerate(lines) if line.startswith("critical path: ")) :]
    assert len(path) > 1
    assert not [line for line in path if re.match(r"\s*s(\s|$)", line)]
    assert "\N{NO-BREAK SPACE}" not in "".join(lines)


def test_a_narrow_terminal_still_has_bars(drawn: Timeline) -> None:
    assert "█" in text(drawn, 10)


def test_a_long_name_is_cut_where_the_bars_begin(drawn: Timeline) -> None:
    long = dataclasses.replace(drawn.lanes["gpu"][-1], name="get nvidia-kernel-common-580-server_580.159.04.deb")
    found = dataclasses.replace(drawn, lanes={"gpu": [long]})
    assert "  get nvidia-kernel-comm… " in text(found, 80)
    assert ">get nvidia-kernel-commo…<" in svg(found)


def test_the_picture_is_well_formed_and_has_a_bar_for_each_row(drawn: Timeline) -> None:
    picture = ET.fromstring(svg(drawn))  # noqa: S314 - our own
    words = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"gpu", "stack", "driver", "reboot", "30.0 s"} <= set(words)
    bars = [element for element in picture.iter("{http://www.w3.org/2000/svg}rect") if element.get("rx") == "2"]
    assert len(bars) == 16


# ---- the command


def way_in(folder: Path, answer: str) -> list[str]:
    """A command in place of ssh to a machine."""
    path = folder / "ssh"
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)
    return [str(path)]


def test_a_machines_records_are_read_in_one_call(tmp_path: Path) -> None:
    said = 'the log\nmig-k8s: and the result\n{"version": 1, "bootId": "b"}'
    ssh = way_in(tmp_path, f"echo \"$*\" >>\"$0.called\"; printf '%s\n' '{said}'")
    assert records({"gpu": ssh}) == {"gpu": ("the log\n", Result(boot_id="b"))}
    assert (tmp_path / "ssh.called").read_text() == (
        "sudo sh -c 'cat /var/log/cloud-init-output.log && echo mig-k8s: and the result "
        "&& cat /var/lib/mig-k8s/result.json'\n"
    )


def test_a_machine_that_lets_nobody_in_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert records({"gpu": way_in(tmp_path, "exit 255")}) == {}
    assert f"timeline: without gpu: `{tmp_path}/ssh` does not get in" in capsys.readouterr().err


def test_a_machine_that_was_never_brought_up_is_told(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="gpu has no records of its stages, see above: has it ever been brought up"):
        records({"gpu": way_in(tmp_path, "exit 1")})


def test_records_of_a_newer_release_are_told_with_the_machines_name(tmp_path: Path) -> None:
    ssh = way_in(tmp_path, 'printf "mig-k8s: and the result\\n{\\"version\\": 2}\\n"')
    with pytest.raises(StackError, match=r"^gpu: the result has version 2, this release of mig-k8s understands 1: "):
        records({"gpu": ssh})


def test_a_stack_that_was_never_brought_up_is_told() -> None:
    with pytest.raises(StackError, match="this stack was never brought up: `pulumi up` first"):
        last([], [], {})


def test_the_picture_is_written_where_asked_and_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    machines = {"gpu": (CLOUD_INIT, RESULT)}
    draw(last(RESOURCES, HISTORY, machines), tmp_path / "up.svg")
    assert (tmp_path / "up.svg").read_text().startswith("<svg ")
    with pytest.raises(StackError, match=r"/missing/up\.svg cannot be written: No such file or directory"):
        draw(last(RESOURCES, HISTORY, machines), tmp_path / "missing/up.svg")
