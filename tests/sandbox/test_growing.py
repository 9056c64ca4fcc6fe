"""A cluster that is in use and grows: its first agent, then another token, while a user's pod counts on."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import eventually
from command_line import CHECKOUT, NODE, CommandLine, own_sandbox
from lives import up_as_said

from sandbox.engine.environment import STACK, Environment

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(600)]

AGENT = "work"
COUNTING = f"""
{{apiVersion: v1, kind: Pod, metadata: {{name: counting}}, spec: {{nodeName: {NODE}, containers: [{{name: c,
 image: "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04",
 command: [sh, -c, "n=0; while sleep 1; do n=$((n + 1)); echo $n; done"]}}]}}}}
"""


def stack(folder: Path, *more: dict[str, Any]) -> Path:
    """The tutorial's machine, and more pools; nothing is verified, since the pod is what counts."""
    config: dict[str, Any] = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())["config"]
    config["mig-k8s:nodePools"] = [*config["mig-k8s:nodePools"], *more]
    config["mig-k8s:verify"] = {"enabled": False}
    file = folder / "growing.yaml"
    file.write_text(yaml.safe_dump({"config": config}))
    return file


@pytest.fixture(scope="module")
def person(obstacle: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """At a sandbox of their own: one server, with a pod that counts."""
    with own_sandbox(obstacle, "growing") as person:
        person.up(stack(tmp_path_factory.mktemp("stacks")), seconds=400)
        person.kubectl("create", "-f", "-", stdin=COUNTING)
        person.kubectl("wait", "--for=condition=Ready", "pod/counting", "--timeout=50s")
        yield person


def life(person: CommandLine) -> tuple[str, str]:
    """What would be another after a reboot, and after a restart of the pod."""
    (status,) = person.get("pod", "counting")["status"]["containerStatuses"]
    return person.boot_id(), status["containerID"]


def counts_on(person: CommandLine) -> bool:
    def count() -> int:
        return int(person.kubectl("logs", "counting", "--tail=1"))

    before = count()
    eventually("the pod counts on", lambda: count() > before)
    return True


def runs_since(person: CommandLine) -> str:
    return person.ssh("systemctl show -p MainPID --value rke2-server")


def token_of(person: CommandLine) -> str:
    return person.ssh("sudo sed 's/.*::server://' /var/lib/rancher/rke2/server/token").strip()


def test_a_single_server_has_the_stacks_token_from_birth(person: CommandLine) -> None:
    assert token_of(person) == person.ssh("sudo cat /etc/rancher/rke2/token").strip()
    assert person.ssh("sudo ls /var/lib/mig-k8s").split().count("rke2-agent-token.sha256") == 1


def test_the_first_agent_restarts_nothing_beside_it(person: CommandLine, tmp_path: Path) -> None:
    before, process = life(person), runs_since(person)

    first_agent = stack(tmp_path, {"name": AGENT, "role": "agent", "vmSize": "Standard_D4s_v5"})
    said = up_as_said(person, first_agent, seconds=400)

    assert {node["metadata"]["name"] for node in person.get("nodes")["items"]} == {NODE, AGENT}
    assert (life(person), runs_since(person)) == (before, process)
    assert counts_on(person)
    assert not re.search(rf" {NODE}-(converge|ready) .*(updat|replac)", said), said


def test_the_agent_has_nothing_a_server_could_be_made_with(person: CommandLine) -> None:
    tokens = person.ssh("sudo cat /etc/rancher/rke2/token /etc/rancher/node/password", machine=AGENT)
    assert "agent-token" not in person.ssh("sudo ls /etc/rancher/rke2", machine=AGENT).split()
    assert tokens.split()[0] == person.ssh("sudo cat /etc/rancher/rke2/agent-token").strip()
    assert token_of(person) not in tokens


def test_another_token_is_taken_over_with_one_restart_of_rke2_and_lasts(person: CommandLine, tmp_path: Path) -> None:
    """As with an older stack, whose cluster has a token of RKE2's own."""
    before, process, old = life(person), runs_since(person), token_of(person)
    environment, new = Environment(person.root, machines=True), secrets.token_hex(32)
    flags = ("config", "set", "--secret", "--non-interactive", "--stack", STACK, "mig-k8s:rke2Token")
    environment.output(*flags, stdin=f"{new}\n", project=person.root / "pulumi" / "project")

    said = person.up(stack(tmp_path, {"name": AGENT, "role": "agent", "vmSize": "Standard_D4s_v5"}), seconds=400)

    assert token_of(person) == new
    assert runs_since(person) != process
    assert life(person) == before
    assert counts_on(person)
    for word in (old, new):
        assert word not in said
        assert person.ssh(f"sudo journalctl | grep -v sudo | grep -c {word}", statuses=(0, 1)) == "0\n"
    for _ in range(2):  # the second one would be refused had the cluster not kept the agent token
        person.ssh("sleep 4; sudo timeout 55 systemctl restart rke2-server")
    assert life(person) == before
    ready = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    person.ssh("sudo timeout 55 systemctl restart rke2-agent", machine=AGENT)
    eventually("both nodes", lambda: person.kubectl("get", "nodes", "-o", ready), "True True")
