"""The fabric-manager stage, with stubs of the programs it calls."""

import pytest
from a_machine import AMachine
from install_stages import run
from packages_on_machine import install, installed, offer, packages

FABRIC_MANAGER = {"FABRIC_MANAGER_SOURCE": "ubuntu", "FABRIC_MANAGER_BRANCH": "580"}
PACKAGE, VERSION = "nvidia-fabricmanager-580", "580.159.04-0ubuntu0.24.04.1"
MEANS = "Without Fabric Manager CUDA fails on these GPUs with error 802 (system not yet initialized)."

NVIDIA_SMI = """
    case "$1" in
      -q) cat <<SMI
GPU 00000001:00:00.0
    Product Name                                       : NVIDIA H100 80GB HBM3
    MIG Mode
        Current                                        : Enabled
    Fabric
        State                                          : $(<"$STATE/fabric-state")
        Status                                         : $(<"$STATE/fabric-status")
        CliqueId                                       : 0
    Processes                                          : None
SMI
      ;;
      *) printf '580.159.04\\n580.159.04\\n' ;;
    esac
"""
SYSTEMCTL = """
    case "$1" in
      cat) [ -f "$STATE/installed/nvidia-fabricmanager-580" ] ;;
      enable) : >"$STATE/enabled" ;;
      start|restart) [ ! -f "$STATE/broken" ] && : >"$STATE/active" ;;
      is-enabled) [ -f "$STATE/enabled" ] ;;
      is-active) [ -f "$STATE/active" ] ;;
    esac
"""


def fabric(machine: AMachine, state: str, status: str) -> None:
    (machine.state / "fabric-state").write_text(f"{state}\n")
    (machine.state / "fabric-status").write_text(f"{status}\n")


@pytest.fixture
def machine(real_stages: AMachine) -> AMachine:
    """A machine with NVSwitch whose driver works and whose archive has Fabric Manager of the driver's version."""
    packages(real_stages)
    offer(real_stages, PACKAGE, VERSION)
    real_stages.program("nvidia-smi", NVIDIA_SMI)
    real_stages.program("systemctl", SYSTEMCTL)
    fabric(real_stages, "Completed", "Success")
    return real_stages


def test_it_is_installed_of_exactly_the_drivers_version_held_enabled_and_started(machine: AMachine) -> None:
    code, last, ended = run(machine, "fabric-manager", **FABRIC_MANAGER)
    assert (code, last) == (0, "done Fabric Manager 580.159.04 runs, fabric: Completed Success"), ended.stderr
    assert installed(machine) == {PACKAGE: VERSION}
    assert machine.calls("apt-mark hold") == [f"apt-mark hold {PACKAGE}"]
    assert "systemctl enable nvidia-fabricmanager.service" in machine.calls()
    assert "systemctl restart nvidia-fabricmanager.service" in machine.calls()


def test_one_that_runs_is_left_as_it_is(machine: AMachine) -> None:
    run(machine, "fabric-manager", **FABRIC_MANAGER)
    machine.forget_calls()
    last = run(machine, "fabric-manager", **FABRIC_MANAGER)[1]
    assert last == "unchanged Fabric Manager runs, fabric: Completed Success"
    assert machine.calls("apt-get") == []
    assert machine.calls("systemctl start") + machine.calls("systemctl restart") == []


def test_one_of_another_version_than_the_driver_is_replaced_and_restarted(machine: AMachine) -> None:
    install(machine, PACKAGE, "580.126.09-0ubuntu0.24.04.1")
    for name in ("enabled", "active"):
        (machine.state / name).touch()
    assert run(machine, "fabric-manager", **FABRIC_MANAGER)[1].startswith("done ")
    assert installed(machine) == {PACKAGE: VERSION}
    assert machine.calls("systemctl restart") == ["systemctl restart nvidia-fabricmanager.service"]


def test_one_that_was_stopped_is_started_again(machine: AMachine) -> None:
    run(machine, "fabric-manager", **FABRIC_MANAGER)
    (machine.state / "active").unlink()
    assert run(machine, "fabric-manager", **FABRIC_MANAGER)[1].startswith("done ")
    assert machine.calls("systemctl start") == ["systemctl start nvidia-fabricmanager.service"]


def test_an_archive_without_it_is_named_with_what_that_means(machine: AMachine) -> None:
    (machine.state / "archive" / PACKAGE).unlink()
    machine.program("apt-cache", "")
    code, last, _ = run(machine, "fabric-manager", **FABRIC_MANAGER)
    assert code == 1
    assert last == (
        f"failed apt knows no nvidia-fabricmanager-580. {MEANS} It is in Ubuntu's multiverse: do the machine's "
        "sources, or the mirror, have that?"
    )


def test_an_archive_with_another_version_only_names_both(machine: AMachine) -> None:
    offer(machine, PACKAGE, "580.178.04-0ubuntu0.24.04.1")
    code, last, _ = run(machine, "fabric-manager", **FABRIC_MANAGER)
    assert code == 1
    assert last == (
        "failed nvidia-fabricmanager-580 has to be of the driver's version 580.159.04, but apt has "
        f"580.178.04-0ubuntu0.24.04.1. {MEANS} Rebuild the machine: then both are installed together."
    )
    assert installed(machine) == {}


def test_one_that_does_not_start_is_named_with_what_that_means(machine: AMachine) -> None:
    (machine.state / "broken").touch()
    code, last, _ = run(machine, "fabric-manager", **FABRIC_MANAGER)
    assert code == 1
    assert last == (
        "failed nvidia-fabricmanager.service does not run; `journalctl -u nvidia-fabricmanager.service` tells why. "
        + MEANS
    )


@pytest.mark.parametrize(("state", "status"), [("In Progress", "N/A"), ("Completed", "Initialization failure")])
def test_a_fabric_that_is_not_ready_is_waited_for_with_a_bound(machine: AMachine, state: str, status: str) -> None:
    fabric(machine, state, status)
    code, last, ended = run(machine, "fabric-manager", **FABRIC_MANAGER)
    assert code == 1
    assert last == (
        f"failed the fabric is not ready after 3 min: nvidia-smi -q shows {state} {status}, expected Completed "
        "Success. `journalctl -u nvidia-fabricmanager.service` and dmesg (NVSwitch, SXid) tell why; CUDA fails "
        "meanwhile with error 802."
    )
    assert "progress waiting for the fabric, at most 3 min" in ended.stdout
    assert machine.calls("sleep") == ["sleep 5"] * 36


def test_a_fabric_that_becomes_ready_is_enough(machine: AMachine) -> None:
    fabric(machine, "In Progress", "N/A")
    machine.program("sleep", 'echo Completed >"$STATE/fabric-state"; echo Success >"$STATE/fabric-status"')
    assert run(machine, "fabric-manager", **FABRIC_MANAGER)[1].startswith("done ")


def test_gpus_before_hopper_do_not_show_the_fabric_and_the_running_unit_is_enough(machine: AMachine) -> None:
    fabric(machine, "N/A", "N/A")
    last = run(machine, "fabric-manager", **FABRIC_MANAGER)[1]
    assert last == "done Fabric Manager 580.159.04 runs, fabric: not shown by these GPUs"


def test_an_image_that_brings_the_driver_has_to_bring_it_too(machine: AMachine) -> None:
    of_the_image = {**FABRIC_MANAGER, "FABRIC_MANAGER_SOURCE": "image"}
    code, last, _ = run(machine, "fabric-manager", **of_the_image)
    assert code == 1
    assert last == (
        f"failed there is no nvidia-fabricmanager.service on this machine. {MEANS} With driver.source image the image "
        "has to bring it."
    )
    assert machine.calls("apt-get") == []
    install(machine, PACKAGE, VERSION)
    assert run(machine, "fabric-manager", **of_the_image)[1].startswith("done ")
