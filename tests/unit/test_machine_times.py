"""`make bench`: a machine's way from the bare image to ready, from its records and the engine's."""

from dataclasses import replace
from datetime import UTC, datetime

from machine.documents.result import Outcome, Result, StageResult, Work
from tests.bench.machine_times import steps, table

CREATED = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
CLOUD_INIT = """\
Cloud-init v. 22.4.2 running 'init' at Mon, 23 Nov 2026 10:00:02 +0000. Up 1.9 seconds.
Cloud-init v. 22.4.2 running 'modules:final' at Mon, 23 Nov 2026 10:00:04 +0000. Up 4 seconds.
Cloud-init v. 22.4.2 finished at Mon, 23 Nov 2026 10:00:05 +0000. Datasource DataSourceNoCloud. Up 5 seconds
Cloud-init v. 22.4.2 running 'init' at Mon, 23 Nov 2026 10:00:42 +0000. Up 1.9 seconds.
Cloud-init v. 22.4.2 finished at Mon, 23 Nov 2026 10:00:43 +0000. Datasource DataSourceNoCloud. Up 3 seconds
"""


def stage(name: str, boot: str, started: str, worked: tuple[str, float, Outcome, str] | None) -> StageResult:
    """`worked`: started, seconds, outcome and boot of the run that did something. Times are minutes and seconds."""
    work = None if worked is None else Work(f"2026-11-23T10:{worked[0]}Z", "", *worked[1:])
    return StageResult(name, "", f"2026-11-23T10:{started}Z", None, "unchanged", "", boot, worked=work)


RESULT = Result(
    boot_id="second",
    stages=(
        # It began when cloud-init had not ended, and waited for that.
        stage("apt", "second", "00:44", ("00:03", 3.0, "done", "first")),
        stage("driver", "second", "00:44", ("00:06", 14.0, "done", "first")),
        stage("toolkit", "second", "00:45", None),
        stage("mig-mode", "second", "00:45", ("00:20", 1.0, "reboot", "first")),
        stage("rke2", "second", "00:46", ("00:46", 60.0, "done", "second")),
    ),
)


def resource(name: str, created: str) -> dict[str, str]:
    return {"urn": f"urn:pulumi:sandbox::mig-k8s::some:Type::{name}", "created": f"2026-11-23T10:{created}Z"}


RESOURCES = [
    resource("verification-run", "02:30"),
    resource("node-mig", "01:50"),
    resource("other-mig", "09:00"),
    resource("gpu-operator-release", "02:00.5"),
]


def test_each_step_has_its_seconds_and_none_counts_a_second_twice() -> None:
    way = steps("node", CREATED, CLOUD_INIT, RESULT, RESOURCES)
    assert [(step.name, step.seconds) for step in way] == [
        ("boot", 2.0),
        ("cloud-init", 3.0),
        ("apt", 1.0),
        ("driver", 14.0),
        ("mig-mode", 1.0),
        ("reboot", 23.0),
        ("rke2", 60.0),
        ("instances", 4.0),
        ("operator", 10.5),
        ("ready", 29.5),
    ]


def test_the_table_says_how_often_it_rebooted_and_when_each_step_was_done() -> None:
    lines = table("node", 1, steps("node", CREATED, CLOUD_INIT, RESULT, RESOURCES)).splitlines()
    assert lines[0] == "node: bare image to ready: 1 reboot (the tutorial: 3)"
    assert lines[6] == "  reboot          23.0 s   at   44.0 s"
    assert lines[-1] == "  ready           29.5 s   at  150.0 s"


def test_a_machine_that_needed_no_reboot_shows_none() -> None:
    way = steps("node", CREATED, CLOUD_INIT, replace(RESULT, stages=RESULT.stages[:3]), [])
    assert [step.name for step in way] == ["boot", "cloud-init", "apt", "driver"]
    assert table("node", 0, way).startswith("node: bare image to ready: 0 reboots ")
