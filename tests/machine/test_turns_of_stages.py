"""The stages that disturb a living machine end with `turn` where they are to ask, before they have changed anything."""

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


def test_the_first_start_of_an_agent_asks_for_nothing(rke2_machine: AMachine) -> None:
    rke2_machine.path("etc/rancher/rke2/agent-token").unlink()
    code, last, ended = run(rke2_machine, "rke2", **AGENT, **ASKED)
    assert (code, last) == (0, "done RKE2 v1.35.7+rke2r1 agent is ready"), ended.stderr


def test_an_agent_that_is_what_it_shall_be_asks_for_nothing(rke2_agent: AMachine) -> None:
    assert run(rke2_agent, "rke2", **AGENT, **ASKED)[1] == "unchanged RKE2 v1.35.7+rke2r1 agent is ready"


def test_another_release_asks_before_it_is_even_downloaded(rke2_agent: AMachine) -> None:
    release(rke2_agent, "mirror.example/rke2/v1.35.8+rke2r1")
    assert run(rke2_agent, "rke2", **NEWER, **ASKED)[:2] == (0, "turn RKE2 restarts")
    assert [call for call in rke2_agent.calls() if call.startswith(("curl", "install", "systemctl restart"))] == []
    assert run(rke2_agent, "rke2", **NEWER)[1] == "done RKE2 v1.35.8+rke2r1 agent is ready"


def test_another_configuration_asks_before_the_restart(rke2_agent: AMachine) -> None:
    rke2_agent.write("etc/rancher/rke2/config.yaml", "cni: calico\nnode-label: [a=b]\n", 0o600)
    assert run(rke2_agent, "rke2", **AGENT, **ASKED)[:2] == (0, "turn RKE2 restarts")
    assert rke2_agent.calls("systemctl restart") == []
    assert run(rke2_agent, "rke2", **AGENT)[1] == "done RKE2 v1.35.7+rke2r1 agent is ready"
    assert rke2_agent.calls("systemctl restart") == ["systemctl restart rke2-agent.service"]


def test_a_release_that_cannot_be_downloaded_leaves_the_running_one_as_it_was(rke2_agent: AMachine) -> None:
    code, last, ended = run(rke2_agent, "rke2", **NEWER)
    assert (code, last.split(":")[0]) == (1, "failed cannot download https")
    assert "half-changed" not in ended.stdout


def test_a_restart_that_fails_leaves_the_agent_half_changed(rke2_agent: AMachine) -> None:
    release(rke2_agent, "mirror.example/rke2/v1.35.8+rke2r1")
    (rke2_agent.state / "broken").touch()
    code, last, ended = run(rke2_agent, "rke2", **NEWER)
    assert (code, last.split(" ")[0]) == (1, "failed")
    assert "half-changed" in ended.stdout.splitlines()


def test_an_agent_whose_rke2_is_down_is_brought_up_without_a_question(rke2_agent: AMachine) -> None:
    (rke2_agent.state / "up").unlink()
    rke2_agent.write("etc/rancher/rke2/config.yaml", "cni: calico\nnode-label: [a=b]\n", 0o600)
    assert run(rke2_agent, "rke2", **AGENT, **ASKED)[1] == "done RKE2 v1.35.7+rke2r1 agent is ready"
