"""What people see when something goes wrong on the way, and that `pulumi up` goes on once it is right again.

One machine is made with the first faults on and lives through the others; each test takes up where the last one ended.
"""

import json
import os
import re
import time
from collections.abc import Iterator

import pytest
import yaml
from command_line import CHECKOUT, NODE, CommandLine, own_sandbox, wait_for_line

from sandbox.engine.environment import Environment
from sandbox.faults import fault
from sandbox.host import access
from sandbox.mirror import registry

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(240)]

KERNEL = os.uname().release
FAILED = 1
"""What the Pulumi CLI ends with when an update fails."""
CUT = "wait: remote command exited without exit status or exit signal: running"
FIRST = {"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 1}
SECOND = {"2g.20gb": 3, "1g.10gb": 1}


@pytest.fixture(scope="module")
def person(obstacle: str | None) -> Iterator[CommandLine]:
    """At a sandbox of their own, in which nothing has been made yet."""
    with own_sandbox(obstacle, "faults") as person:
        yield person


def set_faults(person: CommandLine, *names: str) -> None:
    """Switch on these faults and no others. The machine works on meanwhile, so there is no moment without any."""
    before = fault.switched_on(person.sandbox)
    for name in sorted(set(names) - before):
        fault.switch(person.sandbox, name, on=True)
    for name in sorted(before - set(names)):
        fault.switch(person.sandbox, name, on=False)


def up(person: CommandLine, *, status: int = 0) -> str:
    """`pulumi up` of the stack file in use; everything it says."""
    return person.run(*up_command(person), status=status, seconds=200)


def up_command(person: CommandLine) -> tuple[str, ...]:
    file = str(person.root / "stack.yaml")
    return ("pulumi", "up", "--yes", "--skip-preview", "--suppress-outputs", "--config-file", file)


def devices(person: CommandLine, wanted: dict[str, int]) -> None:
    """Write another layout into the stack file, without the verification, which would only take time here."""
    file = person.root / "stack.yaml"
    stack = yaml.safe_load(file.read_text())
    (pool,) = stack["config"]["mig-k8s:nodePools"]
    pool["migDevices"] = wanted
    stack["config"]["mig-k8s:verify"] = {"enabled": False}
    file.write_text(yaml.safe_dump(stack))


def profiles(person: CommandLine) -> dict[str, int]:
    """Profile → number of devices, as the machine's own nvidia-smi lists them."""
    listed = list(person.mig_devices().values())
    return {profile: listed.count(profile) for profile in sorted(set(listed), reverse=True)}


@pytest.fixture(scope="module")
def first_up(person: CommandLine) -> str:
    """What the first `up` says when everything a machine is made of is broken at the source."""
    for name in ("package-missing", "wrong-key", "download-cut", "slow-boot"):
        person.run("fault", name)
    return person.run("up", str(CHECKOUT / "Pulumi.dev.yaml"), status=FAILED, seconds=200)


def test_faults_are_listed_with_those_that_are_on(first_up: str, person: CommandLine) -> None:
    del first_up
    listed = person.run("fault", "--list").splitlines()
    assert [line.split()[1] for line in listed if line.startswith("on ")] == [
        "package-missing",
        "wrong-key",
        "download-cut",
        "slow-boot",
    ]
    assert "there is no fault bad-luck; `fault --list` has them all" in person.run("fault", "bad-luck", status=1)


def test_a_package_that_is_missing_is_named(first_up: str) -> None:
    assert (
        f"driver failed: apt knows no nvidia-utils-580-server for kernel {KERNEL}. "
        "Is 580 a server branch of this Ubuntu (apt-cache search nvidia-headless-no-dkms)?"
    ) in first_up
    assert "mig-mode skipped: not tried, because driver failed" in first_up


def test_a_wrong_key_is_shown_with_the_right_one(first_up: str, person: CommandLine) -> None:
    sources = yaml.safe_load((person.root / "stack.yaml").read_text())["config"]["mig-k8s:sources"]
    address, _, fingerprint = sources["toolkitApt"].partition("#")
    assert f"toolkit failed: the key at {address}/gpgkey is " in first_up
    assert f", expected {fingerprint}. Do not trust this repository;" in first_up


def test_a_download_that_is_cut_is_tried_again_and_told(first_up: str) -> None:
    assert "rke2.linux-amd64.tar.gz failed (18), try 4 of 4 in 5 s" in first_up
    assert "/rke2.linux-amd64.tar.gz: curl: (18) transfer closed with " in first_up
    assert "Does version v1.36.4+rke2r1 exist, can the machine reach it, and is there room on the disk?" in first_up


def test_a_machine_that_is_slow_to_boot_is_waited_for(first_up: str) -> None:
    assert "mlops-k8s-master is not ready (log files: /run/mig-k8s/log):" in first_up  # so it was reached
    assert "dial tcp" not in first_up


def test_a_session_that_drops_fails_the_command_and_names_it(first_up: str, person: CommandLine) -> None:
    del first_up
    set_faults(person, "package-missing", "wrong-key", "download-cut", "ssh-drops")
    assert f'{CUT} "sudo timeout -k 10 90000 /usr/local/sbin/mig-k8s update"' in up(person, status=FAILED)


def test_a_power_failure_in_the_middle_fails_the_command_that_ran(person: CommandLine) -> None:
    set_faults(person, "package-missing", "wrong-key", "download-cut", "reboot")
    # Whether the connection or the command ends first is a matter of milliseconds; either way the command is named.
    assert ' running "sudo timeout -k 10 90000 /usr/local/sbin/mig-k8s update"' in up(person, status=FAILED)


def test_a_disk_without_room_for_our_records_is_told_and_they_are_as_they_were(person: CommandLine) -> None:
    set_faults(person, "package-missing", "wrong-key", "download-cut", "state-disk-full")
    said = up(person, status=FAILED)
    assert (
        "cannot write /var/lib/mig-k8s/result.json: No space left on device. Make room on the machine "
        "(`df -h`, `sudo journalctl --vacuum-size=100M`), then `pulumi up` again"
    ) in said
    assert "Traceback" not in said
    stages = json.loads(person.ssh("sudo cat /var/lib/mig-k8s/result.json"))["stages"]
    assert [stage["name"] for stage in stages][:2] == ["apt", "driver"]


def test_a_full_disk_and_a_wrong_checksum_are_told_and_nothing_is_installed(person: CommandLine) -> None:
    set_faults(person, "disk-full", "checksum-wrong")
    said = up(person, status=FAILED)
    assert "driver failed: apt cannot install " in said
    assert "E: You don't have enough free space in /var/cache/apt/archives/. The next run tries again." in said
    assert "/rke2.linux-amd64.tar.gz has checksum " in said
    assert "It is damaged or not what it claims to be; nothing was installed." in said
    assert person.ssh("ls /usr/bin/nvidia-smi /usr/local/bin/rke2 2>/dev/null; true") == ""


def test_a_lock_of_apt_is_waited_for_and_its_holder_named(person: CommandLine) -> None:
    set_faults(person, "apt-lock", "wrong-key", "driver-does-not-load")
    with person.started(*up_command(person)) as process:
        wait_for_line(process, "waiting for python3 (process", 60)
        fault.switch(person.sandbox, "apt-lock", on=False)
        said, _ = process.communicate(timeout=150)
    # RKE2 comes up without driver and toolkit; that both are missing is told.
    assert "rke2           done: RKE2 v1.36.4+rke2r1 server is ready" in said
    assert "driver failed: the nvidia module does not load: modprobe: ERROR: could not insert 'nvidia': " in said
    assert "See dmesg; is a GPU attached (lspci -d 10de:)?" in said
    assert "toolkit failed: the key at " in said
    assert process.returncode == FAILED


def test_a_driver_of_another_version_than_its_library_gets_one_reboot_and_is_told(person: CommandLine) -> None:
    set_faults(person, "driver-mismatch")
    said = up(person, status=FAILED)
    # The toolkit came after RKE2 had started without it.
    assert "restarting rke2-server.service: it started before the toolkit, its containerd has no nvidia runtime" in said
    assert (
        "driver failed: the kernel runs another driver version than the one installed; the machine was rebooted for "
        "this once, it did not help and is not repeated. When the cause is gone: `sudo reboot`, then `pulumi up`"
    ) in said


def test_a_mode_that_stays_pending_gets_one_reboot_and_is_told(person: CommandLine) -> None:
    set_faults(person, "mode-stays-pending")
    said = up(person, status=FAILED)
    assert "reboot         the machine reboots now" in said
    assert (
        "mig-mode failed: MIG mode of GPU 0 changes only with a reboot; the machine was rebooted for this once, it did "
        "not help and is not repeated. When the cause is gone: `sudo reboot`, then `pulumi up`"
    ) in said


def test_foreign_instances_are_removed_and_the_stack_comes_up_verified(person: CommandLine) -> None:
    set_faults(person, "foreign-instances")
    before = person.boot_id()
    person.ssh("sudo systemctl reboot", statuses=(0, 255))
    wait_for_boot(person, before)
    said = up(person)
    assert "removes 1g.20gb at 6" in said
    assert person.output("verification")["passed"] is True
    assert profiles(person) == FIRST


def wait_for_boot(person: CommandLine, before: str) -> None:
    deadline = time.monotonic() + 60
    while (now := person.ssh("cat /proc/sys/kernel/random/boot_id", statuses=(0, 255)).strip()) in ("", before):
        assert time.monotonic() < deadline, f"60 s after the reboot the boot id is {now!r}, before it was {before!r}"
        time.sleep(0.5)


@pytest.mark.parametrize(
    ("fault", "wanted", "sentences"),
    [
        ("cgi-fails", SECOND, ("GPU 0  failed: it shows ", "Insufficient Resources", "has what it had before")),
        (
            "cgi-claims-success",
            FIRST,
            ("GPU 0  failed: it shows ", "Successfully created GPU instance", "COULD NOT be given back"),
        ),
        ("instance-busy", SECOND, ("In use by another client", "has what it had before")),
        ("gpu-off-bus", FIRST, ("GPU 0  failed: GPU 0 does not tell its MIG mode: ", "GPU is lost.")),
    ],
)
def test_a_layout_that_fails_is_told_and_made_by_the_next_up(
    person: CommandLine, fault: str, wanted: dict[str, int], sentences: tuple[str, ...]
) -> None:
    before = profiles(person)
    set_faults(person, fault)
    devices(person, wanted)
    said = up(person, status=FAILED)
    for sentence in sentences:
        assert sentence in said
    set_faults(person)
    if "has what it had before" in sentences:
        assert profiles(person) == before
    assert "GPU 0  changed" in up(person)
    assert profiles(person) == wanted


def test_a_wrong_host_key_is_never_talked_to_and_told_within_the_minute(person: CommandLine) -> None:
    set_faults(person, "wrong-host-key")
    (vm_id,) = person.sandbox.machine_ids
    remembered = person.sandbox.machine_directory(vm_id) / "upper/etc/mig-k8s/layout.json"
    before = remembered.read_text()
    devices(person, SECOND)
    said = up(person, status=FAILED)
    failed = re.search(rf"Command {NODE}-mig creating replacement \((\d+)s\).*; error: (.*)", said)
    assert failed, said
    assert failed[2] == "after 18 failed attempts: ssh: handshake failed: ssh: host key mismatch"
    assert int(failed[1]) <= 60
    assert remembered.read_text() == before
    set_faults(person)
    assert "GPU 0  changed" in up(person)
    assert profiles(person) == SECOND


NOTEBOOK = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "notebook", "labels": {"app": "notebook"}},
    "spec": {
        "runtimeClassName": "nvidia",
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "notebook",
                "image": registry.CUDA_SAMPLE,
                "command": ["sleep", "600"],
                "resources": {"limits": {"nvidia.com/mig-1g.10gb": 1}},
            }
        ],
    },
}
BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "one-notebook"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "notebook"}}},
}


def test_draining_stops_at_a_disruption_budget_and_evicts_once_it_is_gone(person: CommandLine) -> None:
    file = person.root / "stack.yaml"
    stack = yaml.safe_load(file.read_text())
    stack["config"]["mig-k8s:mig"]["onChange"] = "drain"
    file.write_text(yaml.safe_dump(stack))
    access.write_kubeconfig(Environment(person.root, machines=True))  # `sandbox up` does; here it was `pulumi up`
    person.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([BUDGET, NOTEBOOK]))
    person.kubectl("wait", "--for=condition=Ready", "pod/notebook", "--timeout=50s")
    person.kubectl("wait", "--for=jsonpath={.status.currentHealthy}=1", "pdb/one-notebook", "--timeout=50s")
    before = person.mig_devices()
    devices(person, {"2g.20gb": 3})
    said = up(person, status=FAILED)
    assert "pods may not be evicted: default/notebook: The disruption budget one-notebook needs 1 healthy pods" in said
    assert person.mig_devices() == before
    assert person.get("pod", "notebook")["status"]["phase"] == "Running"
    person.kubectl("delete", "pdb", "one-notebook")
    assert "evicts pod default/notebook, which holds a device that must go" in up(person)
    assert profiles(person) == {"2g.20gb": 3}
    assert "notebook" not in person.kubectl("get", "pods")
