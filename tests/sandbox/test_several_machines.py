"""A server, a GPU agent and one without a GPU under RKE2's CIS profile, by the commands people type: up, again, an
agent deallocated and started again, upgraded by a minor, an agent replaced, one after the other removed, down."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import eventually
from command_line import CHECKOUT, CommandLine, own_sandbox
from lives import lives, up_as_said

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(600)]

SERVER, AGENT, SPARE = "server", "train", "spare"
FOUNDED, UPGRADED = "v1.36.4+rke2r1", "v1.37.1+rke2r1"
RUNNING = """
{apiVersion: v1, kind: Pod, metadata: {name: at-work}, spec: {nodeSelector: {kubernetes.io/hostname: %s}, containers:
 [{name: c, command: [sleep, "600"], image: "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04",
   securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, runAsNonRoot: true, runAsUser: 1000,
   seccompProfile: {type: RuntimeDefault}}}], tolerations: [{operator: Exists}]}}
"""
"""A user's pod on a machine, with what the CIS profile asks of it."""


FIRST_DEVICES = ({"3g.40gb": 1}, {"2g.20gb": 1, "1g.10gb": 1})
"""The devices of server and agent at first."""
LATER = ({"3g.40gb": 1, "1g.10gb": 1}, {"2g.20gb": 2})
SEEN_LATER = [(SERVER, "1g.10gb"), (SERVER, "3g.40gb"), (AGENT, "2g.20gb"), (AGENT, "2g.20gb")]


def stack(
    folder: Path,
    *without: str,
    version: str = UPGRADED,
    devices: tuple[dict[str, int], dict[str, int]] = LATER,
) -> Path:
    """A server and an agent with a GPU each, divided in different ways, the agent's with NVIDIA's customary taint; and
    an agent without a GPU. `without`: pools that are left out."""
    config: dict[str, Any] = yaml.safe_load((CHECKOUT / "examples/cluster.yaml").read_text())["config"]
    config["mig-k8s:rke2"] = {"cis": True, "version": version}
    config["mig-k8s:nodePools"] = [
        {"name": SERVER, "vmSize": "Standard_NC24ads_A100_v4", "migDevices": devices[0]},
        {
            "name": AGENT,
            "role": "agent",
            "vmSize": "Standard_NC24ads_A100_v4",
            "migDevices": devices[1],
            "nodeTaints": ["nvidia.com/gpu=present:NoSchedule"],
        },
        {"name": SPARE, "role": "agent", "vmSize": "Standard_D4s_v5"},
    ]
    pools = config["mig-k8s:nodePools"]
    config["mig-k8s:nodePools"] = [pool for pool in pools if pool["name"] not in without]
    file = folder / "machines.yaml"
    file.write_text(yaml.safe_dump({"config": config}))
    return file


@pytest.fixture(scope="module")
def person(obstacle: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """At a sandbox of their own, with all machines up."""
    with own_sandbox(obstacle, "several") as person:
        person.up(stack(tmp_path_factory.mktemp("stacks"), version=FOUNDED, devices=FIRST_DEVICES), seconds=500)
        yield person


def pulumi_up(person: CommandLine, *flags: str) -> str:
    configuration = str(person.root / "stack.yaml")
    return person.run("pulumi", "up", "--yes", "--skip-preview", "--config-file", configuration, *flags, seconds=400)


def seen_in_pods(person: CommandLine) -> list[tuple[str, str]]:
    """(node, profile) of each device, as the pods of the last verification saw them."""
    report: dict[str, Any] = person.output("verification")
    assert report["passed"] is True
    return sorted((device["node"], device["profile"]) for device in report["devices"])


def test_pods_on_both_nodes_saw_the_devices_of_their_machine(person: CommandLine) -> None:
    assert seen_in_pods(person) == [(SERVER, "3g.40gb"), (AGENT, "1g.10gb"), (AGENT, "2g.20gb")]


def test_a_device_in_use_on_the_agent_is_proven_by_the_record_of_its_kubelet(person: CommandLine) -> None:
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "holder",
        "image": "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04",
        "command": ["sleep", "600"],
        "securityContext": {**restricted, "runAsNonRoot": True, "runAsUser": 65534},
        "resources": {"limits": {"nvidia.com/mig-2g.20gb": 1}},
    }
    spec = {
        "containers": [container],
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "holder"}, "spec": spec}
    person.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(pod))
    person.kubectl("wait", "--for=condition=Ready", "pod/holder", "--timeout=60s")
    said = person.run("verify")
    assert "verification: passed, " in said
    assert f"  {AGENT}: 1 × 2g.20gb: in use by default/holder\n" in said
    assert f"  {AGENT}: 1 × 1g.10gb: proven by a pod\n" in said
    person.kubectl("delete", "pod", "holder", "--now")


def test_the_server_has_rke2s_roles_and_the_agents_none(person: CommandLine) -> None:
    rows = [line.split()[:3] for line in person.kubectl("get", "nodes", "--no-headers").splitlines()]

    assert rows == [[SERVER, "Ready", "control-plane,etcd"], [SPARE, "Ready", "<none>"], [AGENT, "Ready", "<none>"]]


def test_under_the_cis_profile_etcd_is_its_own_user_and_pods_are_restricted(person: CommandLine) -> None:
    assert person.ssh("ps -o user= -C etcd", machine=SERVER).strip() == "etcd"
    manifest = (
        '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "rooted"}, "spec": {"hostNetwork": true,'
        ' "containers": [{"name": "c", "image": "example.org/c:1"}]}}'
    )
    with pytest.raises(AssertionError, match=r'violates PodSecurity "restricted:latest": host namespaces'):
        person.kubectl("create", "-f", "-", stdin=manifest)


def test_after_a_reboot_the_agent_has_the_kernel_settings_the_profile_asks_for(person: CommandLine) -> None:
    state = "cat /proc/sys/kernel/random/boot_id; systemctl is-active rke2-agent"
    before = person.ssh(state, machine=AGENT).split()
    assert before[1] == "active"

    person.ssh("sudo systemctl reboot", statuses=(0, 255), machine=AGENT)

    def is_back() -> bool:
        seen = person.ssh(state, statuses=(0, 3, 255), machine=AGENT).split()
        return seen[1:] == ["active"] and seen[0] != before[0]

    eventually("RKE2 after the reboot", is_back, seconds=120)
    assert person.ssh("cat /proc/sys/vm/overcommit_memory /proc/sys/kernel/panic", machine=AGENT) == "1\n10\n"


def test_a_second_up_changes_nothing(person: CommandLine) -> None:
    said = pulumi_up(person, "--expect-no-changes")

    assert re.search(r"Resources:\n +\d+ unchanged\n", said), said


def profiles(person: CommandLine, machine: str) -> list[str]:
    """The profiles of the MIG devices that a machine lists; none while it does not answer."""
    listed = person.ssh("nvidia-smi -L || true", statuses=(0, 255), machine=machine)
    return sorted(re.findall(r"^  MIG (\S+) ", listed, re.M))


def test_while_the_agent_is_deallocated_the_server_is_changed_and_the_up_fails_for_the_agent_alone(
    person: CommandLine, tmp_path: Path
) -> None:
    person.run("deallocate", AGENT)
    said = person.run("up", str(stack(tmp_path, version=FOUNDED)), status=1, seconds=400)
    assert "warning: train is deallocated in Azure: nothing is run on it, and what this stack file changes" in said
    assert "      expected: running\n      seen:     deallocated\n      do:       `az vm start --resource-group" in said
    assert re.findall(r"FAILED .*", said.split("Diagnostics:")[-1]) == ["FAILED machine on train"]
    assert profiles(person, SERVER) == ["1g.10gb", "3g.40gb"]


def test_started_again_the_agent_makes_its_instances_before_anybody_asks_for_them(person: CommandLine) -> None:
    """On another host, with another GPU, whose MIG mode is off."""
    person.run("start", AGENT)
    eventually("the agent's instances", lambda: profiles(person, AGENT), ["1g.10gb", "2g.20gb"], seconds=200)


def test_the_next_up_does_what_waited_and_verifies_all_of_it(person: CommandLine, tmp_path: Path) -> None:
    person.up(stack(tmp_path, version=FOUNDED), seconds=400)
    assert seen_in_pods(person) == SEEN_LATER


def test_a_dead_agent_keeps_no_other_machine_from_its_changes(person: CommandLine, tmp_path: Path) -> None:
    """Azure says that it runs, nobody reaches it, and there is something to do on it."""
    file = stack(tmp_path, version=FOUNDED, devices=({"2g.20gb": 1}, {"1g.10gb": 2}))
    config = yaml.safe_load(file.read_text())
    config["config"]["mig-k8s:nodePools"][2]["nodeLabels"] = {"team": "ml"}
    file.write_text(yaml.safe_dump(config))
    person.run("unplug", SPARE)
    said = person.run("up", str(file), status=1, seconds=400)
    assert (profiles(person, SERVER), profiles(person, AGENT)) == (["2g.20gb"], ["1g.10gb", "1g.10gb"])
    failed = set(re.findall(r"command:remote:Command \((\S+)\)", said.split("Diagnostics:")[-1]))
    assert failed == {f"{SPARE}-converge"}, said

    person.run("plug", SPARE)
    person.up(file, seconds=400)
    assert seen_in_pods(person) == [(SERVER, "2g.20gb"), (AGENT, "1g.10gb"), (AGENT, "1g.10gb")]
    assert "team=ml" in person.ssh("sudo cat /etc/rancher/rke2/config.yaml", machine=SPARE)


CUT = """
sudo install -m 755 /dev/stdin /usr/local/sbin/systemctl <<'END'
#!/bin/sh
if [ "$*" = "restart rke2-agent.service" ]; then
  rm /usr/local/sbin/systemctl
  exec /usr/bin/systemctl kill --signal=KILL mig-k8s-converge.service
fi
exec /usr/bin/systemctl "$@"
END
"""
"""In front of systemd's own: the first restart of the agent ends the run of the stages by force, once."""


def versions(person: CommandLine) -> dict[str, str]:
    """The version of every kubelet."""
    nodes = person.get("nodes")["items"]
    return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}


def test_an_upgrade_by_a_minor_that_is_killed_before_the_restart_is_taken_up_again_and_pods_go_on(
    person: CommandLine, tmp_path: Path
) -> None:
    assert versions(person) == {SERVER: FOUNDED, AGENT: FOUNDED, SPARE: FOUNDED}
    person.kubectl("apply", "-f", "-", stdin=RUNNING % AGENT)
    person.kubectl("wait", "--for=condition=Ready", "pod/at-work", "--timeout=50s")
    before = person.get("pod", "at-work")["status"]["containerStatuses"][0]["containerID"]
    person.ssh(CUT, machine=AGENT)
    said = person.run("up", str(stack(tmp_path)), status=1, seconds=400)
    assert (
        "rke2: not finished. `journalctl -u mig-k8s-converge.service` tells why; `pulumi up` goes on from here." in said
    )
    assert person.ssh("rke2 --version", machine=AGENT).startswith(f"rke2 version {UPGRADED}")
    assert versions(person) | {SPARE: ""} == {SERVER: UPGRADED, AGENT: FOUNDED, SPARE: ""}  # servers come first

    person.up(stack(tmp_path), seconds=400)

    assert versions(person) == {SERVER: UPGRADED, AGENT: UPGRADED, SPARE: UPGRADED}
    assert seen_in_pods(person) == SEEN_LATER
    assert person.get("pod", "at-work")["status"]["containerStatuses"][0]["containerID"] == before
    person.kubectl("delete", "pod", "at-work", "--now")
    (snapshot,) = person.ssh("sudo ls /var/lib/rancher/rke2/server/db/snapshots", machine=SERVER).split()
    assert snapshot.startswith("mig-k8s-from-v1.36.4-server-")


def test_the_minor_before_is_refused_and_changes_nothing(person: CommandLine, tmp_path: Path) -> None:
    refused = person.run("up", str(stack(tmp_path, version=FOUNDED)), status=1, seconds=300)
    assert "nothing was changed, RKE2 stays at v1.37.1+rke2r1: from v1.37.1+rke2r1 to v1.36.4+rke2r1" in refused
    person.up(stack(tmp_path), seconds=400)


def test_an_agent_that_is_replaced_joins_under_its_old_name(person: CommandLine) -> None:
    before = set(person.sandbox.machine_ids)

    pulumi_up(person, "--replace", f"**::{AGENT}-vm")

    assert len(before & set(person.sandbox.machine_ids)) == 2
    assert len(person.sandbox.machine_ids) == 3
    assert seen_in_pods(person) == SEEN_LATER


def test_what_a_cluster_keeps_for_life_is_refused_before_anything_is_touched(
    person: CommandLine, tmp_path: Path
) -> None:
    before, file = lives(person), stack(tmp_path)
    config = yaml.safe_load(file.read_text())
    config["config"]["mig-k8s:rke2"]["cis"] = False
    config["config"]["mig-k8s:vm"] = {"tags": {"team": "ml"}}
    file.write_text(yaml.safe_dump(config))
    said = person.run("up", str(file), status=1, seconds=120)
    assert "mig-k8s:rke2.cis: false" in said
    assert "was made with true and keeps that as long as it lives" in said
    assert lives(person) == before
    assert "team" not in (person.root / "azure.json").read_text()


def test_a_machine_on_which_a_pod_of_a_user_runs_is_not_removed(person: CommandLine, tmp_path: Path) -> None:
    person.kubectl("apply", "-f", "-", stdin=RUNNING % SPARE)
    person.kubectl("wait", "--for=condition=Ready", "pod/at-work", "--timeout=50s")
    said = person.run("up", str(stack(tmp_path, SPARE)), status=1, seconds=300)
    assert "pods run on spare, which is to be removed: default/at-work. Delete them; or set mig.onChange" in said
    assert len(person.sandbox.machine_ids) == 3
    (node,) = [each for each in person.get("nodes")["items"] if each["metadata"]["name"] == SPARE]
    assert "unschedulable" not in node["spec"]
    assert person.get("pod", "at-work")["status"]["phase"] == "Running"


def test_without_such_a_pod_it_goes_with_its_node_and_nobody_else_is_touched(
    person: CommandLine, tmp_path: Path
) -> None:
    before = person.ssh("cat /proc/sys/kernel/random/boot_id; systemctl show -p MainPID rke2-agent", machine=AGENT)
    person.kubectl("delete", "pod", "at-work", "--wait=true")
    up_as_said(person, stack(tmp_path, SPARE), seconds=300)
    assert len(person.sandbox.machine_ids) == 2
    assert {each["metadata"]["name"] for each in person.get("nodes")["items"]} == {SERVER, AGENT}
    assert before == person.ssh(
        "cat /proc/sys/kernel/random/boot_id; systemctl show -p MainPID rke2-agent", machine=AGENT
    )


def test_a_dead_machine_is_removed_although_a_pod_is_recorded_on_it(person: CommandLine, tmp_path: Path) -> None:
    person.kubectl("apply", "-f", "-", stdin=RUNNING % AGENT)
    person.kubectl("wait", "--for=condition=Ready", "pod/at-work", "--timeout=50s")
    person.ssh("sudo systemctl poweroff", statuses=(0, 255), machine=AGENT)

    def is_away() -> bool:
        (node,) = [each for each in person.get("nodes")["items"] if each["metadata"]["name"] == AGENT]
        return [each["status"] for each in node["status"]["conditions"] if each["type"] == "Ready"] != ["True"]

    eventually("the API to see that the agent is away", is_away, seconds=120)
    said = person.run("up", str(stack(tmp_path, SPARE, AGENT)), seconds=300)
    assert "train does not answer, so its pods cannot be told to end" in said
    assert [each["metadata"]["name"] for each in person.get("nodes")["items"]] == [SERVER]
    assert len(person.sandbox.machine_ids) == 1


def test_down_leaves_nothing(person: CommandLine) -> None:
    before = person.traces()
    assert [place for place, found in before.items() if not found] == [], "a trace that is not seen proves nothing"

    person.run("down", seconds=120)

    assert person.traces() == {place: [] for place in before}
