"""A release of RKE2 that a machine cannot go to: refused before a byte is written."""

from pathlib import Path

import pytest
from a_machine import DESIRED
from calls import call
from kubernetes_objects import node
from staged import StagedMachine, configuration


@pytest.fixture
def machine(tmp_path: Path) -> StagedMachine:
    """A server that runs v1.35.7+rke2r1."""
    made = StagedMachine.below(tmp_path)
    made.join("server")
    made.write("proc/77/exe", "#!/bin/sh\necho 'rke2 version v1.35.7+rke2r1 (abcdef)'\n", 0o755)
    return made


def update(machine: StagedMachine, version: str, role: str = "server") -> tuple[int, str]:
    before = machine.read("etc/mig-k8s/desired.json")
    wanted = configuration(rke2={**DESIRED["rke2"], "version": version, "role": role})
    done = call(machine, "update", stdin=wanted)
    refused = "nothing was changed" in done.stderr
    assert refused == (machine.read("etc/mig-k8s/desired.json") == before)
    assert refused == (machine.runs() == [])
    return done.status, done.stderr


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (
            "v1.37.1+rke2r1",
            (
                "from v1.35.7+rke2r1 to v1.37.1+rke2r1 a minor of Kubernetes would be left out. Take a release of v1.36"
                " first, `pulumi up`, then v1.37.1+rke2r1"
            ),
        ),
        (
            "v1.34.9+rke2r1",
            (
                "from v1.35.7+rke2r1 to v1.34.9+rke2r1 Kubernetes would go back by a minor, and it cannot read what the"
                " newer one has written. Keep a release of v1.35; a snapshot from before the upgrade is restored with"
                " the release that it was saved by"
            ),
        ),
    ],
)
@pytest.mark.parametrize("installed", ["v1.35.7+rke2r1", "v1.36.4+rke2r1"])
def test_a_server_leaves_no_minor_out_and_goes_back_by_none_from_what_runs(
    machine: StagedMachine, version: str, said: str, installed: str
) -> None:
    """Whatever an upgrade that was cut off has installed meanwhile."""
    machine.write("usr/local/bin/rke2", f"#!/bin/sh\necho rke2 version {installed}\n", 0o755)
    refused = f"mig-k8s: nothing was changed, RKE2 stays at v1.35.7+rke2r1: {said}\n"
    assert update(machine, version) == (1, refused)


@pytest.mark.parametrize("version", ["v1.36.4+rke2r1", "v1.35.9+rke2r2", "v1.35.1+rke2r1", "v1.35.7+rke2r1"])
def test_a_server_goes_up_one_minor_and_to_any_patch_of_its_own(machine: StagedMachine, version: str) -> None:
    assert update(machine, version)[0] == 0


def test_where_rke2_does_not_run_the_installed_release_counts(machine: StagedMachine) -> None:
    machine.systemd.set(active=[])
    machine.write("opt/rke2/bin/rke2", "#!/bin/sh\necho rke2 version v1.36.4+rke2r1\n", 0o755)
    assert update(machine, "v1.35.7+rke2r1")[0] == 1
    assert update(machine, "v1.37.1+rke2r1")[0] == 0


def test_a_machine_without_rke2_takes_any_release(tmp_path: Path) -> None:
    assert update(StagedMachine.below(tmp_path), "v1.33.1+rke2r1")[0] == 0


@pytest.fixture
def agent(machine: StagedMachine) -> StagedMachine:
    """An agent that runs v1.35.7+rke2r1, of servers that are of the same."""
    machine.systemd.set(active=[])
    machine.path("etc/rancher/rke2/rke2.yaml").unlink()
    machine.join("agent")
    machine.api.change(nodes=[node("mlops-k8s-master", "", {}, {})])
    return machine


def test_an_agent_gets_no_newer_than_the_api_server(agent: StagedMachine) -> None:
    assert update(agent, "v1.36.4+rke2r1", "agent") == (
        1,
        (
            "mig-k8s: nothing was changed, RKE2 stays at v1.35.7+rke2r1: the cluster's API server is v1.35.7+rke2r1,"
            " and no kubelet may be newer than that. The servers go to v1.36.4+rke2r1 first: `pulumi up` with all of"
            " them\n"
        ),
    )
    agent.api.change(version="v1.36.4+rke2r1")
    assert update(agent, "v1.36.4+rke2r1", "agent")[0] == 0


def test_an_agent_that_was_away_may_leave_minors_out_and_goes_back_by_none(agent: StagedMachine) -> None:
    agent.api.change(version="v1.37.1+rke2r1")
    assert update(agent, "v1.37.1+rke2r1", "agent")[0] == 0
    assert update(agent, "v1.34.1+rke2r1", "agent")[0] == 1


def test_an_agent_whose_api_server_is_away_still_takes_a_minor_that_is_not_newer(agent: StagedMachine) -> None:
    agent.api.change(away=True)
    assert update(agent, "v1.35.9+rke2r1", "agent")[0] == 0
    status, said = update(agent, "v1.36.4+rke2r1", "agent")
    assert status == 1
    assert "no kubelet may be newer than the cluster's API server, which does not answer: kubectl get --raw" in said
