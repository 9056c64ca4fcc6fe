"""What a cluster was founded with: a server refuses a change of it before a byte is written."""

from pathlib import Path

import pytest
from calls import call
from staged import StagedMachine, configuration

FOUNDED = """node-name: mlops-k8s-master
node-ip: 10.60.0.4
cni: calico
cluster-cidr: 10.42.0.0/16
service-cidr: 10.43.0.0/16
tls-san: [a]
"""


@pytest.fixture
def machine(tmp_path: Path) -> StagedMachine:
    """A server whose cluster has the stack's token."""
    made = StagedMachine.below(tmp_path)
    made.join("server")
    made.write("etc/rancher/rke2/config.yaml", FOUNDED, 0o600)
    made.write("var/lib/rancher/rke2/server/token", "K10abc::server:t\n", 0o600)
    return made


def update(machine: StagedMachine, *changes: tuple[str, str]) -> tuple[int, str]:
    """With these texts of FOUNDED replaced by others."""
    text = FOUNDED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    done = call(machine, "update", stdin=configuration(token="t\n", agent_token="a\n", rke2_config=text))
    return done.status, done.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("10.42.0.0/16", "10.44.0.0/16", "cluster-cidr is 10.42.0.0/16, not 10.44.0.0/16 (network.podCidr)"),
        ("10.43.0.0/16", '"10.45.0.0/16"', "service-cidr is 10.43.0.0/16, not 10.45.0.0/16 (network.serviceCidr)"),
        ("calico", "cilium", "cni is calico, not cilium (rke2.cni)"),
        ("10.60.0.4", "10.60.0.5", "node-ip is 10.60.0.4, not 10.60.0.5 (its private address, which etcd knows it by)"),
    ],
)
def test_a_living_server_refuses_a_change_of_what_its_cluster_was_founded_with(
    machine: StagedMachine, old: str, new: str, said: str
) -> None:
    status, refused = update(machine, (old, new))
    assert status == 1
    assert refused == (
        f"mig-k8s: nothing was changed, because the cluster here keeps what it was founded with: {said}. Set it back. "
        "To lose the cluster and found another: `pulumi destroy`, then `pulumi up`\n"
    )
    assert machine.read("etc/rancher/rke2/config.yaml") == FOUNDED
    assert not machine.path("etc/rancher/rke2/token").exists()
    assert machine.runs() == []


def test_all_of_them_are_named_at_once(machine: StagedMachine) -> None:
    status, said = update(machine, ("calico", "cilium"), ("10.42.0.0/16", "10.44.0.0/16"))
    assert (status, said.count(" is "), said.count(", not ")) == (1, 2, 2)


def test_everything_else_may_change(machine: StagedMachine) -> None:
    assert update(machine, ("tls-san: [a]", "tls-san: [a, b]\nprofile: cis"))[0] == 0


def test_a_machine_without_a_cluster_is_founded_with_whatever_is_wanted(machine: StagedMachine) -> None:
    machine.path("var/lib/rancher/rke2/server/token").unlink()
    assert update(machine, ("calico", "cilium"), ("10.60.0.4", "10.60.0.5"))[0] == 0
