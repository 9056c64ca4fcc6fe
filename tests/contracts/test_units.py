"""The systemd units of a machine: whatever is broken in our programs, RKE2 starts, and soon enough."""

import configparser

import pytest

from machine.release import units
from stacks import REPOSITORY

UNITS = REPOSITORY / "cloud-init/units"


def unit(name: str) -> configparser.ConfigParser:
    made = configparser.ConfigParser(strict=True, interpolation=None)
    made.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    made.read_string((UNITS / name).read_text(encoding="utf-8"))
    return made


@pytest.mark.parametrize("name", ["mig-k8s-converge.service", "mig-k8s-instances.service", "mig-k8s-pods.service"])
def test_rke2_requires_nothing_of_ours(name: str) -> None:
    words = {key for section in unit(name).values() for key in section}
    bonds = {"RequiredBy", "RequisiteOf", "BoundBy", "PropagatesStopTo", "Conflicts", "OnFailure", "FailureAction"}
    assert not words & bonds
    assert unit(name)["Install"]["WantedBy"] == "multi-user.target"


def test_rke2_waits_for_the_instances_at_most_400_seconds() -> None:
    instances = unit("mig-k8s-instances.service")
    assert instances["Unit"]["Before"] == "rke2-server.service rke2-agent.service"
    service = instances["Service"]
    assert service["Type"] == "oneshot"
    assert service["TimeoutStartSec"] == "400"
    # Each program in it has a bound of its own, so that the GPU's state is told before systemd ends it.
    assert service["ExecStartPre"] == "-/usr/bin/timeout -k 5 60 modprobe nvidia"
    assert service["ExecStart"] == (
        "/usr/bin/timeout -k 10 300 /usr/local/lib/mig-k8s/current/entry-points/mig-k8s boot"
    )


def test_pods_are_refused_at_the_metadata_service_before_rke2_starts_which_waits_at_most_90_seconds() -> None:
    pods = unit("mig-k8s-pods.service")
    assert pods["Unit"]["Before"] == "rke2-server.service rke2-agent.service"
    assert pods["Unit"]["After"] == "nftables.service"
    assert (pods["Service"]["Type"], pods["Service"]["TimeoutStartSec"]) == ("oneshot", "90")


def test_rke2_does_not_wait_for_converge() -> None:
    converge = unit("mig-k8s-converge.service")
    assert "Before" not in converge["Unit"]
    assert converge["Service"]["Type"] == "exec"
    assert converge["Service"]["ExecStart"] == "/usr/local/lib/mig-k8s/current/entry-points/mig-k8s converge"


def test_the_installer_writes_all_units_and_entry_points_that_there_are() -> None:
    assert sorted(units.UNITS) == sorted(path.name for path in UNITS.iterdir())
    assert sorted(units.COMMANDS) == sorted(path.name for path in (REPOSITORY / "cloud-init/entry-points").iterdir())
