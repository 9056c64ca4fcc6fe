"""The whole way, by the commands people type, on one sandbox: up, look around, verify, reboot, rebuild, down.

Each test takes up where the one before it ended.
"""

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from backing_up import BackingUp
from cluster import eventually
from command_line import CHECKOUT, NODE, CommandLine, own_sandbox, wait_for_line

from sandbox import operations
from sandbox.process import ProcessId, started_with

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(400)]

VERIFICATION = "mig-k8s-verify"
"""The namespace of the verification's pods."""
EXPECTATIONS = ("configmap", "mig-k8s-expectations", "--namespace", "kube-system")
POD = """
{apiVersion: v1, kind: Pod, metadata: {name: kept}, spec: {restartPolicy: Never, containers: [{name: c,
 image: "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04", command: [sleep, "5000"],
 resources: {limits: {nvidia.com/mig-1g.10gb: 1}}}]}}
"""
"""A user's, with a device of its own."""
MIXED = {"nvidia.com/mig-3g.40gb": "1", "nvidia.com/mig-2g.20gb": "1", "nvidia.com/mig-1g.10gb": "1"}


@pytest.fixture(scope="module")
def person(obstacle: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """At a sandbox of their own, with the dev stack up, whose cluster may be lost."""
    with own_sandbox(obstacle, "way") as person:
        person.up(changed(tmp_path_factory.mktemp("stacks")), previewed=True)
        yield person


def changed(folder: Path, operator: dict[str, Any] | None = None, **rebuild: str) -> Path:
    """The dev stack, whose cluster may be lost, with these machines to be rebuilt and these values of the operator."""
    stack = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())
    stack["config"] |= {"mig-k8s:clusterMayBeLost": True, "mig-k8s:rebuild": rebuild}
    stack["config"]["mig-k8s:gpuOperator"] = {"values": {"operator": operator or {}}}
    file = folder / "Pulumi.dev.yaml"
    file.write_text(yaml.safe_dump(stack))
    return file


def seen_in_pods(person: CommandLine) -> list[tuple[str, str]]:
    """(profile, UUID) of each device, as the pods of the last verification saw them."""
    report: dict[str, Any] = person.output("verification")
    assert report["passed"] is True
    assert {device["node"] for device in report["devices"]} == {NODE}
    return [(device["profile"], device["uuid"]) for device in report["devices"]]


def namespaces(person: CommandLine) -> set[str]:
    return {item["metadata"]["name"] for item in person.get("namespaces")["items"]}


def with_pods(person: CommandLine) -> set[str]:
    """The namespaces in which there are pods."""
    return {pod["metadata"]["namespace"] for pod in person.get("pods", "-A")["items"]}


def pasted(line: str) -> str:
    """What a line prints that is pasted into a shell."""
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=True).stdout


def test_three_pods_each_saw_one_device_of_its_own(person: CommandLine) -> None:
    seen = seen_in_pods(person)
    assert sorted(profile for profile, _ in seen) == ["1g.10gb", "2g.20gb", "3g.40gb"]
    assert len({uuid for _, uuid in seen}) == 3
    assert dict(person.mig_devices()) == {uuid: profile for profile, uuid in seen}
    assert "  mlops-k8s-master: 1 × 3g.40gb, 1 × 2g.20gb, 1 × 1g.10gb: proven by a pod\n" in person.said[0]


def test_the_verification_leaves_neither_pod_nor_namespace(person: CommandLine) -> None:
    wanted = {"default", "kube-system", "kube-public", "kube-node-lease", "gpu-operator"}
    eventually("its namespace is gone", lambda: namespaces(person), wanted, seconds=30)
    assert with_pods(person) == {"gpu-operator"}


def test_what_the_up_took_is_drawn_with_every_step_of_the_machine_and_what_its_end_waited_for(
    person: CommandLine, tmp_path: Path
) -> None:
    found = operations.last_timeline(person.name)
    steps = {span.name for span in found.lanes[NODE]}
    assert {"boot", "cloud-init", "rke2-download", "apt", "driver", "toolkit", "mig-mode", "reboot", "rke2"} <= steps
    path = " → ".join(span.name for span in found.path)
    assert re.search("cloud-init → .*reboot → .*rke2 → .*gpu-operator-release → .*verification-run$", path), path
    lines = person.run("timeline", "--svg", str(tmp_path / "up.svg")).splitlines()
    assert re.match(r"up: \d+ s, \d+\.\d+ × the \d+ s that nobody can avoid \(boot and reboot; ", lines[0])
    # What takes less than half a second has no row of its own, and on a fast machine that is most of it.
    rows = {line.split("  ")[1] for line in lines if line.startswith("  ") and line.endswith(" s")}
    assert {"cloud-init", "reboot", "rke2", "verification-run"} <= rows
    assert (tmp_path / "up.svg").read_text().startswith("<svg ")


def test_the_stack_is_verified_again_without_a_change(person: CommandLine, tmp_path: Path) -> None:
    said = person.run("verify", "--junit", str(tmp_path / "report.xml"))
    assert "verification: passed, 18 of 18 checks in " in said
    suites = ET.parse(tmp_path / "report.xml").getroot()  # noqa: S314 - our own
    assert (suites.get("tests"), suites.get("failures")) == ("18", "0")
    cases = {(case.get("classname"), case.get("name")) for case in suites.iter("testcase")}
    assert (NODE, "mig-mixed-3g-40gb-0 sees its device") in cases
    assert with_pods(person) == {"gpu-operator"}  # its own are gone when it ends


def test_a_verification_whose_session_is_cut_leaves_nothing(person: CommandLine) -> None:
    kept = person.get(*EXPECTATIONS)["data"]
    changed = {name: text.replace("vectoradd", "no-such-image") for name, text in kept.items()}
    person.kubectl("patch", *EXPECTATIONS, "--type=merge", "--patch", json.dumps({"data": changed}))
    with person.started("ssh", NODE, "sudo mig-verify --again") as session:
        wait_for_line(session, "waiting for mig-mixed-3g-40gb-0: ErrImagePull", 60)  # and would for 90 s
        session.kill()
    assert VERIFICATION in namespaces(person)
    eventually("the namespace is gone", lambda: VERIFICATION in namespaces(person), wanted=False, seconds=60)
    person.kubectl("patch", *EXPECTATIONS, "--type=merge", "--patch", json.dumps({"data": kept}))
    assert with_pods(person) == {"gpu-operator"}


BY_LIBRARY = """
from ctypes import CDLL, byref, c_uint, c_void_p, create_string_buffer
nvml = CDLL("libnvidia-ml.so.1")
gpu, device, most, uuid = c_void_p(), c_void_p(), c_uint(), create_string_buffer(96)
calls = [nvml.nvmlInit_v2(), nvml.nvmlDeviceGetHandleByIndex_v2(0, byref(gpu))]
calls += [nvml.nvmlDeviceGetMaxMigDeviceCount(gpu, byref(most))]
for number in range(most.value):
    if nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, number, byref(device)) == 0:
        calls += [nvml.nvmlDeviceGetUUID(device, uuid, 96)]
        print(uuid.value.decode())
assert not any(calls), calls
"""
"""A program that asks the driver's library for the UUIDs of the first GPU's MIG devices."""


def test_what_loads_the_drivers_library_on_the_machine_sees_the_devices_that_nvidia_smi_lists(
    person: CommandLine,
) -> None:
    assert sorted(person.ssh("python3 -", stdin=BY_LIBRARY).split()) == sorted(dict(person.mig_devices()))
    assert "libnvidia-ml.so.580.159.04" in person.ssh("readlink -f /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1")


def test_the_printed_lines_give_a_kubectl_and_a_shell(person: CommandLine) -> None:
    (kubectl,) = re.findall(r"^  (\S+/kubectl --kubeconfig \\\n    \S+) get nodes,pods -A$", person.said[0], re.M)
    assert (person.root / "kubeconfig").stat().st_mode & 0o077 == 0
    assert f"node/{NODE} " in pasted(f"{kubectl} get nodes,pods -A")
    (ssh,) = re.findall(r"^  (ssh -F \S+ \S+)$", person.said[0], re.M)
    assert "everything is done" in pasted(f"{ssh} sudo mig-k8s status")


def test_the_log_is_readable_without_a_terminal(person: CommandLine) -> None:
    lines = person.said[0].splitlines()
    assert [line for line in lines if line.startswith("@")] == []
    stage = r"      mlops-k8s-master-converge: rke2-download  installing RKE2 v1\.36\.4\+rke2r1 in /usr/local  \d s"
    assert [line for line in lines if re.fullmatch(stage, line)] != []
    assert max(len(line) for line in lines if line.startswith("      ")) <= 100
    between = lines[lines.index("· pulumi up …") + 1 :]
    assert next(line for line in between if line.startswith("·")).startswith("· pulumi up: done in")


def test_a_second_up_changes_nothing(person: CommandLine) -> None:
    flags = ("--yes", "--skip-preview", "--expect-no-changes", "--config-file", str(person.root / "stack.yaml"))
    said = person.run("pulumi", "up", *flags)
    assert re.search(r"Resources:\n +33 unchanged\n", said), said


def test_no_secret_of_the_stack_is_where_others_could_read_it(person: CommandLine) -> None:
    kubeconfig = yaml.safe_load((person.root / "kubeconfig").read_text())
    secrets = [
        line
        for key in ("admin", "host")
        for line in (person.root / "keys" / key).read_text().splitlines()
        if not line.startswith("-")
    ]
    flags = ("--config-file", str(person.root / "stack.yaml"))
    secrets.append(person._quiet("pulumi", "config", "get", "mig-k8s:rke2Token", *flags).strip())
    secrets.append((person.root / "pulumi/passphrase").read_text().strip())
    secrets += [user["user"]["client-key-data"] for user in kubeconfig["users"]]
    secrets.append("I2Nsb3VkLWNvbmZpZ")  # how custom data begins, in base64
    assert min(map(len, secrets)) > 12

    said = "".join(person.said)
    assert [secret for secret in secrets if secret in said] == []
    state = [path for path in (person.root / "pulumi" / "state").rglob("*") if path.is_file()]
    state += [path for path in (person.root / "pulumi" / "home").rglob("*") if path.is_file()]
    assert any(path.name == "sandbox.json" for path in state)
    written = b"".join(path.read_bytes() for path in state).decode(errors="replace")
    assert [secret for secret in secrets if secret in written] == []

    patterns = "\n".join(secrets)
    search = "grep -rlsF -D skip -f - /etc /var /run /tmp /home /root /usr/local /opt"
    by_root = person.ssh(f"sudo {search}", stdin=patterns, statuses=(0, 1, 2)).splitlines()
    assert "/etc/ssh/ssh_host_ed25519_key" in by_root, "the search finds nothing, not even what is there"
    assert [path for path in by_root if path.startswith(("/var/lib/mig-k8s", "/run/mig-k8s", "/var/log"))] == []
    others = f"sudo -u nobody sh -c '{search}; grep -lsF -f /dev/null /proc/[0-9]*/cmdline'"
    assert person.ssh(others, stdin=patterns, statuses=(0, 1, 2)).splitlines() == []
    commands = person.ssh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '", statuses=(0, 1))
    assert [secret for secret in secrets if secret in commands] == []


def test_after_a_reboot_the_same_devices_are_there_before_kubernetes(person: CommandLine) -> None:
    before, boot_id = person.mig_devices(), person.boot_id()
    assert len(before) == 3
    person.ssh("sudo systemctl reboot", statuses=(0, 255))
    eventually("another boot", lambda: _boot_id(person) not in ("", boot_id), seconds=60)
    boot_id = person.boot_id()

    def node() -> tuple[str, str]:
        status = json.loads(person.kubectl("get", "node", NODE, "-o", "json"))["status"]
        ready = next(item["status"] for item in status["conditions"] if item["type"] == "Ready")
        return status["nodeInfo"]["bootID"], ready

    eventually("the node of this boot", lambda: _tried(node), (boot_id, "True"), seconds=90)
    assert person.mig_devices() == before
    made = person.ssh("systemctl show -P ActiveEnterTimestampMonotonic mig-k8s-instances")
    started = person.ssh("systemctl show -P ExecMainStartTimestampMonotonic rke2-kubelet")
    assert 0 < int(made) < int(started)
    eventually("allocatable", person.gpu_resources, MIXED)


@pytest.fixture(scope="module")
def backing_up(person: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> BackingUp:
    return BackingUp(person, tmp_path_factory.mktemp("backups"))


def test_a_backup_is_restored_on_the_living_machine_and_a_pod_keeps_its_device(
    person: CommandLine, backing_up: BackingUp
) -> None:
    person.kubectl("create", "-f", "-", stdin=POD)
    person.kubectl("wait", "--for=condition=Ready", "pod/kept", "--timeout=50s")
    person.kubectl("create", "configmap", "before")
    said = backing_up.backup()
    assert re.search(rf"the cluster of sandbox as {NODE} had it at \S+, RKE2 v1.36.4\+rke2r1\.\n", said), said
    assert backing_up.file.stat().st_mode & 0o777 == 0o600
    person.kubectl("create", "configmap", "after")
    before = (container(person), person.mig_devices(), person.boot_id())

    said = backing_up.restore(status=1)
    assert "everything in it that came later is lost" in said
    assert "configmap/after" in person.kubectl("get", "configmaps", "-o", "name")
    said = backing_up.restore_confirmed()

    assert "what is here now is saved as " in said
    names = person.kubectl("get", "configmaps", "-o", "name").split()
    assert ("configmap/before" in names, "configmap/after" in names) == (True, False)
    assert (container(person), person.mig_devices(), person.boot_id()) == before
    assert "verification: passed" in person.run("verify", seconds=120)
    token = person.ssh("sudo cat /etc/rancher/rke2/token").strip()
    assert token not in said
    assert token.encode() not in backing_up.file.read_bytes()
    assert person.ssh(f"sudo journalctl | grep -v sudo | grep -c -- {token}", statuses=(0, 1)) == "0\n"


def container(person: CommandLine) -> str:
    """What would differ if the user's pod had ended."""
    (status,) = person.get("pod", "kept")["status"]["containerStatuses"]
    assert "running" in status["state"]
    return str(status["containerID"])


def test_a_changed_rebuild_replaces_the_machine_however_its_runs_are_interrupted(
    person: CommandLine, tmp_path: Path
) -> None:
    (old,) = person.sandbox.machine_ids
    stack = changed(tmp_path, **{NODE: "once more"})
    with person.started("up", str(stack)) as process:
        wait_for_line(process, "      mlops-k8s-master-converge: ", 90)
        kill(person, process)
    assert "mlops-k8s-master, 10.99." in person.run("status")
    # The machine works on by itself, and may be rebooting for its GPU just now.
    eventually("a login", lambda: person.ssh("echo let me in", statuses=(0, 255)), "let me in\n", seconds=120)

    assert "the stack is currently locked by 1 lock(s)" in person.run("up", str(stack), "--skip-preview", status=1)
    said = person.run("recover")
    assert re.search(r"^lock: that of \S+, process \d+, since \S+ is cancelled$", said, re.M), said
    assert "Command mlops-k8s-master-converge was being made: the next `pulumi up` makes it\n" in said

    said = kill_helm(person, stack, {"1": "pending-install"})
    assert "Helm: sh.helm.release.v1.gpu-operator.v1 (pending-install) is taken back; what it made stays" in said, said
    cut(person, stack)
    stop(person, stack)
    said = person.up(stack)

    assert "pending operations" not in said
    (new,) = person.sandbox.machine_ids
    assert new != old
    assert person.gpu_resources() == MIXED
    assert sorted(person.mig_devices().values()) == ["1g.10gb", "2g.20gb", "3g.40gb"]
    assert {uuid for _, uuid in seen_in_pods(person)} == set(person.mig_devices())
    assert revisions(person) == {"1": "deployed"}


VERIFIED = "      verification-run: "
"""How each line of the verification begins, the longest command of an `up`."""


def cut(person: CommandLine, stack: Path) -> None:
    """Cut the connection of an `up` while a command runs; the next one goes on without `recover`."""
    with person.started("up", str(stack), "--skip-preview") as process:
        wait_for_line(process, VERIFIED, 120)
        person.ssh("sudo pkill -KILL -f '^sshd: azureuser@notty'", statuses=(0, 255))
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "remote command exited without exit status" in said


def stop(person: CommandLine, stack: Path) -> None:
    """Stop an `up` by one Ctrl-C: it waits for what runs. The next one goes on without `recover`."""
    with person.started("up", str(stack), "--skip-preview") as process:
        wait_for_line(process, VERIFIED, 120)
        end(person, process, signal.SIGINT)


def end(person: CommandLine, process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Tell the engine of a run to end, and wait for it."""
    engine = ProcessId.read(person.root / "pulumi" / "engine.pid")
    assert engine is not None
    engine.send(number)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1, said


def kill(person: CommandLine, process: "subprocess.Popen[str]") -> None:
    """End all as when the host is gone: first a Helm that works, which would note an end, then command and engine."""
    for each, home in started_with("PULUMI_HOME"):
        if Path(home).is_relative_to(person.root) and each.command.startswith("helm "):
            each.kill()
    engine = ProcessId.read(person.root / "pulumi" / "engine.pid")
    process.kill()
    assert engine is not None
    engine.kill()


def kill_helm(person: CommandLine, stack: Path, noted: dict[str, str]) -> str:
    """Kill an `up` while Helm works at the operator and has noted this of its revisions; what `recover` says then."""
    with person.started("up", str(stack), "--skip-preview") as process:
        eventually("Helm works", lambda: revisions(person), noted, seconds=120)
        kill(person, process)
    return person.run("recover")


def test_an_upgrade_of_the_operator_that_cannot_end_is_killed_or_ended_and_given_up(
    person: CommandLine, tmp_path: Path
) -> None:
    """What it brought goes with it, though Helm itself compares with the last revision that came to its end."""
    rebuilt = {NODE: "once more"}
    stack = changed(tmp_path, {"resources": {"requests": {"cpu": "640"}}}, **rebuilt)  # of a node with two
    said = kill_helm(person, stack, {"1": "deployed", "2": "pending-upgrade"})
    note = "Helm: sh.helm.release.v1.gpu-operator.v{} ({}) counts as deployed; what it made stays: the next `pulumi up`"
    assert note.format(2, "pending-upgrade") in said
    assert "helm.sh/v3:Release gpu-operator-release was being changed: the next `pulumi up` changes it\n" in said
    assert revisions(person) == {"1": "superseded", "2": "deployed"}

    with person.started("up", str(stack), "--skip-preview") as process:
        upgrading = {"1": "superseded", "2": "deployed", "3": "pending-upgrade"}
        eventually("Helm upgrades", lambda: revisions(person), upgrading, seconds=60)
        end(person, process, signal.SIGTERM)
    assert revisions(person) == {"1": "superseded", "2": "deployed", "3": "failed"}
    assert operator_pods(person) == ["Pending"]
    assert note.format(3, "failed") in person.run("recover")

    person.up(changed(tmp_path, **rebuilt))
    assert revisions(person) == {"1": "superseded", "2": "superseded", "3": "superseded", "4": "deployed"}
    assert operator_pods(person) == ["Running"]


def operator_pods(person: CommandLine) -> list[str]:
    """The phase of each."""
    pods = person.get("pods", "-n", "gpu-operator", "-l", "app=gpu-operator")["items"]
    return [str(pod["status"]["phase"]) for pod in pods]


def revisions(person: CommandLine) -> dict[str, str]:
    """Revision → status, as Helm notes them in the cluster; nothing while that does not answer."""
    columns = '{range .items[*]}{.metadata.labels.version} {.metadata.labels.status}{"\\n"}{end}'
    kubectl = "sudo /var/lib/rancher/rke2/bin/kubectl --kubeconfig /etc/rancher/rke2/rke2.yaml"
    command = f"{kubectl} get secrets -A -l owner=helm,name=gpu-operator -o jsonpath='{columns}'"
    return dict(line.split() for line in person.ssh(command, statuses=(0, 1, 255)).splitlines())


def test_the_same_backup_is_restored_on_the_new_machine_of_another_cluster(
    person: CommandLine, backing_up: BackingUp
) -> None:
    assert "configmap/before" not in person.kubectl("get", "configmaps", "-o", "name")

    backing_up.restore_confirmed()

    (kubeconfig,) = re.findall(r"urn:\S*::cluster-kubeconfig\b", person._quiet("pulumi", "stack", "--show-urns"))
    flags = ("--yes", "--skip-preview", "--config-file", str(person.root / "stack.yaml"))
    person.run("pulumi", "up", "--target-replace", kubeconfig, *flags, seconds=120)
    person.up(person.root / "stack.yaml", "--skip-preview")
    assert "configmap/before" in person.kubectl("get", "configmaps", "-o", "name")
    # Of the old machine's device; where no controller makes another one, a person does.
    person.kubectl("delete", "pod", "kept", "--now")
    assert "verification: passed" in person.run("verify", seconds=120)


def test_destroy_works_with_the_machine_dead_and_leaves_nothing(person: CommandLine) -> None:
    (vm_id,) = person.sandbox.machine_ids
    before = person.traces()
    assert [place for place, found in before.items() if not found] == [], "a trace that is not seen proves nothing"
    directory = person.sandbox.machine_directory(vm_id)
    for keeper in ("supervisor.pid", "leader.pid"):
        process = ProcessId.read(directory / keeper)
        assert process is not None
        process.kill()
    begun = time.monotonic()

    said = person.run("down", seconds=120)

    assert time.monotonic() - begun < 60
    assert "· pulumi destroy: done in" in said
    assert "pulumi destroy failed" not in said
    assert re.search(r"Resources:\n +- 33 deleted\n", said), said
    assert person.traces() == {place: [] for place in before}


def _boot_id(person: CommandLine) -> str:
    """Empty while the machine is away."""
    return person.ssh("cat /proc/sys/kernel/random/boot_id", statuses=(0, 255)).strip()


def _tried(look: Callable[[], object]) -> object:
    """None while the API server is away."""
    try:
        return look()
    except AssertionError:
        return None
