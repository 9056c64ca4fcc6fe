"""How old the newest snapshot is that RKE2 saved by itself. It is 10:00 of 26 November 2026 here."""

import datetime as dt

import pytest
from a_machine import AMachine

from machine.verification.snapshots import newest

NOW = dt.datetime(2026, 11, 26, 10, tzinfo=dt.timezone.utc)
FOLDER = "var/lib/rancher/rke2/server/db/snapshots"


@pytest.fixture
def machine(a_machine: AMachine) -> AMachine:
    """A server whose RKE2 has run for 20 hours."""
    a_machine.join("server")
    a_machine.write("etc/rancher/rke2/config.yaml", "cni: calico\n", 0o600)
    runs(a_machine, 20)
    return a_machine


def runs(machine: AMachine, hours: float) -> None:
    """RKE2, since it was started, an hour after the machine."""
    machine.write("proc/uptime", f"{(hours + 1) * 3600:.2f} 1.00\n")
    machine.systemd.set(since=[str(3600 * 1_000_000)])


def save(machine: AMachine, hours: float, name: str = "etcd-snapshot", ending: str = "", folder: str = FOLDER) -> None:
    """So many hours ago."""
    seconds = int((NOW - dt.timedelta(hours=hours)).timestamp())
    machine.write(f"{folder}/{name}-mlops-k8s-master-{seconds}{ending}", "")


def test_its_age_is_told(machine: AMachine) -> None:
    save(machine, 22)
    save(machine, 10, ending=".zip")
    assert newest(machine) == ("the newest snapshot that RKE2 saved by itself is 10 h old", "")


def test_one_that_is_older_than_thirteen_hours_is_warned_of(machine: AMachine) -> None:
    save(machine, 14)
    save(machine, 1, name="mig-k8s-from-v1.36.4")
    save(machine, 1, name="on-demand")
    said, warning = newest(machine)
    assert said == "the newest snapshot that RKE2 saved by itself is 14 h old"
    assert warning.startswith(f"{said}, though it has run for 20 h and saves one every twelve. Is there room in ")


def test_none_at_all_is_warned_of_when_there_had_to_be_one(machine: AMachine) -> None:
    said, warning = newest(machine)
    assert said == ""
    assert warning.startswith("RKE2 has saved no snapshot by itself, though it has run for 20 h")


@pytest.mark.parametrize("hours", [0.1, 12.9])
def test_a_cluster_that_is_young_or_was_away_is_not_warned_of(machine: AMachine, hours: float) -> None:
    runs(machine, hours)
    assert newest(machine) == ("", "")
    save(machine, 200)
    assert newest(machine) == ("the newest snapshot that RKE2 saved by itself is 200 h old", "")


def test_where_it_cannot_be_told_how_long_rke2_has_run_nothing_is_warned_of(machine: AMachine) -> None:
    machine.systemd.set(since=["0"])
    assert newest(machine) == ("", "")


def test_a_stacks_own_schedule_name_and_folder_are_followed(machine: AMachine) -> None:
    config = 'etcd-snapshot-schedule-cron: "0 3 * * 0"\netcd-snapshot-name: nightly\netcd-snapshot-dir: "/mnt/s"\n'
    machine.write("etc/rancher/rke2/config.yaml", config, 0o600)
    save(machine, 100, name="nightly", folder="mnt/s")
    assert newest(machine) == ("the newest snapshot that RKE2 saved by itself is 100 h old", "")


def test_snapshots_that_are_switched_off_are_told(machine: AMachine) -> None:
    machine.write("etc/rancher/rke2/config.yaml", "etcd-disable-snapshots: true\n", 0o600)
    assert newest(machine) == ("RKE2 saves no snapshots by itself (etcd-disable-snapshots)", "")
