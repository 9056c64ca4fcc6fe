"""The stages that disturb a living machine end with `turn` where they are to ask, before they have changed anything."""

import pytest
from a_machine import AMachine
from install_stages import run
from rke2_on_machine import RKE2, release

ASKED = {"ASKS_TURN": "1"}
NEWER = {
    **RKE2,
    "RKE2_ROLE": "agent",
    "RKE2_VERSION": "v1.35.8+rke2r1",
    "RKE2_ARTIFACTS": "https://mirror.example/rke2/v1.35.8+rke2r1",
}
AGENT = {**RKE2, "RKE2_ROLE": "agent"}


@pytest.fixture
def agent(rke2_machine: AMachine) -> AMachine:
    """An agent whose RKE2 runs; the first start asks for nothing."""
    rke2_machine.path("etc/rancher/rke2/agent-token").unlink()
    code, last, ended = run(rke2_machine, "rke2", **AGENT, **ASKED)
    assert (code, last) == (0, "done RKE2 v1.35.7+rke2r1 agent is ready"), ended.stderr
    rke2_machine.forget_calls()
    return rke2_machine


def test_an_agent_that_is_what_it_shall_be_asks_for_nothing(agent: AMachine) -> None:
    assert run(agent, "rke2", **AGENT, **ASKED)[1] == "unchanged RKE2 v1.35.7+rke2r1 agent is ready"


def test_another_release_asks_before_it_is_even_downloaded(agent: AMachine) -> None:
    release(agent, "mirror.example/rke2/v1.35.8+rke2r1")
    assert run(agent, "rke2", **NEWER, **ASKED)[:2] == (0, "turn RKE2 restarts")
    assert [call for call in agent.calls() if call.startswith(("curl", "install", "systemctl restart"))] == []
    assert run(agent, "rke2", **NEWER)[1] == "done RKE2 v1.35.8+rke2r1 agent is ready"


def test_another_configuration_asks_before_the_restart(agent: AMachine) -> None:
    agent.write("etc/rancher/rke2/config.yaml", "cni: calico\nnode-label: [a=b]\n", 0o600)
    assert run(agent, "rke2", **AGENT, **ASKED)[:2] == (0, "turn RKE2 restarts")
    assert agent.calls("systemctl restart") == []
    assert run(agent, "rke2", **AGENT)[1] == "done RKE2 v1.35.7+rke2r1 agent is ready"
    assert agent.calls("systemctl restart") == ["systemctl restart rke2-agent.service"]


def test_a_release_that_cannot_be_downloaded_leaves_the_running_one_as_it_was(agent: AMachine) -> None:
    code, last, ended = run(agent, "rke2", **NEWER)
    assert (code, last.split(":")[0]) == (1, "failed cannot download https")
    assert "half-changed" not in ended.stdout


def test_a_restart_that_fails_leaves_the_agent_half_changed(agent: AMachine) -> None:
    release(agent, "mirror.example/rke2/v1.35.8+rke2r1")
    (agent.state / "broken").touch()
    code, last, ended = run(agent, "rke2", **NEWER)
    assert (code, last.split(" ")[0]) == (1, "failed")
    assert "half-changed" in ended.stdout.splitlines()


def test_an_agent_whose_rke2_is_down_is_brought_up_without_a_question(agent: AMachine) -> None:
    (agent.state / "up").unlink()
    agent.write("etc/rancher/rke2/config.yaml", "cni: calico\nnode-label: [a=b]\n", 0o600)
    assert run(agent, "rke2", **AGENT, **ASKED)[1] == "done RKE2 v1.35.7+rke2r1 agent is ready"
