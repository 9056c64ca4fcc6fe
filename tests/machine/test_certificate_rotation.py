"""`rotate-certificates` on a machine: RKE2 restarts once, with others; cut anywhere, the next call goes on."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from a_machine import FIRST_BOOT, NAME, AMachine
from agents import Agents
from calls import Called, call
from kubernetes_objects import node

from machine.host import lock
from machine.host.program import Ended
from machine.update import certificate_rotation
from machine.verification.shown_certificate import API_SERVER, KUBELET

NOW = dt.datetime(2026, 11, 26, 10, tzinfo=dt.timezone.utc)
ETCD = {"node-role.kubernetes.io/etcd": "true"}
MARK = "/var/lib/mig-k8s/certificates-rotate"
Shown = dict[int, int | None]
"""By port, in how many days the certificate ends that is shown there."""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What RKE2 shows on this machine: certificates that end in 59 days."""
    days: Shown = {KUBELET: 59, API_SERVER: 59}

    def end(_machine: AMachine, address: str, port: int) -> dt.datetime | None:
        assert address == "127.0.0.1"
        found = days[port]
        return None if found is None else NOW + dt.timedelta(days=found, hours=1)

    monkeypatch.setattr(certificate_rotation, "shown_end", end)
    return days


@pytest.fixture
def server(a_machine: AMachine, shown: Shown) -> AMachine:
    """The only server of a cluster, whose systemd does what it is told."""
    a_machine.join()
    a_machine.write("usr/local/bin/rke2", "", 0o755)
    a_machine.api.change(nodes=[node(NAME, FIRST_BOOT, {}, ETCD)])
    rke2_starts_anew(a_machine, shown)
    return a_machine


def rke2_starts_anew(machine: AMachine, shown: Shown, *, status: int = 0) -> list[tuple[str, ...]]:
    """Have systemd-run do the steps, or fail in them; its calls."""
    calls: list[tuple[str, ...]] = []

    def answer(command: tuple[str, ...], _stdin: str) -> Ended:
        calls.append(command)
        if status == 0:
            shown.update({KUBELET: 364, API_SERVER: 364})
        return Ended(command, status, "", "")

    machine.answers["systemd-run"] = answer
    machine.answers["journalctl"] = lambda command, _: Ended(command, 0, "rke2: no space left on device\n", "")
    return calls


def rotate(machine: AMachine) -> Called:
    return call(machine, "rotate-certificates")


def test_a_server_stops_forgets_them_and_starts_whoever_ends_meanwhile(server: AMachine, shown: Shown) -> None:
    calls = rke2_starts_anew(server, shown)
    done = rotate(server)
    assert (done.status, done.stderr.splitlines()) == (
        0,
        [
            f"{NAME}: RKE2 stops, and starts with new certificates",
            f"{NAME} has new certificates, the first of them ends in 364 days",
        ],
    )
    ((program, *options, shell, flag, steps, _, rke2),) = calls
    assert program == "systemd-run"
    assert options == ["--unit=mig-k8s-certificates.service", "--collect", "--quiet", "--wait"]
    assert (shell, flag, rke2) == ("/bin/sh", "-c", str(server.path("/usr/local/bin/rke2")))
    assert steps == (
        'systemctl stop rke2-server.service && "$1" certificate rotate; status=$?;'
        " timeout 1200 systemctl start rke2-server.service && exit $status"
    )
    assert not server.path(MARK).exists()


def test_where_they_are_of_today_nothing_restarts(server: AMachine, shown: Shown) -> None:
    calls = rke2_starts_anew(server, shown)
    shown.update({KUBELET: 364, API_SERVER: 364})
    done = rotate(server)
    assert (done.status, done.stderr) == (0, f"{NAME} has certificates of today: nothing to do\n")
    assert calls == []
    shown[API_SERVER] = 363
    assert (rotate(server).status, len(calls)) == (0, 1)


def test_what_was_cut_is_done_again_though_all_that_is_shown_is_new(server: AMachine, shown: Shown) -> None:
    calls = rke2_starts_anew(server, shown)
    shown.update({KUBELET: 364, API_SERVER: 364})
    server.write(MARK, "")
    assert (rotate(server).status, len(calls)) == (0, 1)
    assert not server.path(MARK).exists()


def test_the_steps_of_a_session_that_was_cut_are_waited_for(server: AMachine, shown: Shown) -> None:
    calls = rke2_starts_anew(server, shown)
    server.systemd.set(active=[*server.systemd.active, "mig-k8s-certificates.service"])
    server.clock.at(40, lambda: server.systemd.set(active=["rke2-server.service"]))
    assert (rotate(server).status, len(calls)) == (0, 1)
    assert 40 <= sum(server.clock.slept) <= 42


def test_a_failure_is_told_with_rke2s_words_and_the_next_call_goes_on(server: AMachine, shown: Shown) -> None:
    rke2_starts_anew(server, shown, status=1)
    done = rotate(server)
    assert done.status == 1
    assert done.stderr.splitlines()[-1] == (
        f"mig-k8s: the certificates of {NAME} were not made anew: rke2: no space left on device. `systemctl status"
        " rke2-server` there tells whether RKE2 runs. When that is repaired, run the same command again"
    )
    assert server.path(MARK).exists()
    rke2_starts_anew(server, shown)
    assert rotate(server).status == 0


def test_certificates_that_are_the_old_ones_after_all_are_a_failure(server: AMachine, shown: Shown) -> None:
    server.answers["systemd-run"] = lambda command, _: Ended(command, 0, "", "")
    done = rotate(server)
    assert done.status == 1
    assert "RKE2 has restarted on mlops-k8s-master and shows its old certificates: `sudo journalctl" in done.stderr
    shown[KUBELET] = None
    assert "and shows no certificates: " in rotate(server).stderr


def test_a_server_whose_node_does_not_come_back_is_told(server: AMachine) -> None:
    server.api.change(nodes=[node(NAME, FIRST_BOOT, {}, ETCD, ready="False")])
    done = rotate(server)
    assert (done.status, "whose node is not Ready after 300 s" in done.stderr) == (1, True)


def servers(machine: AMachine, *ready: str) -> None:
    others = [node(f"server-{number}", "b", {}, ETCD, ready=each) for number, each in enumerate(ready)]
    machine.api.change(nodes=[node(NAME, FIRST_BOOT, {}, ETCD), *others])


@pytest.mark.parametrize("others", [("Unknown", "True"), ("True", "False", "Unknown", "True")])
def test_with_another_server_dead_the_majority_would_be_lost_and_nothing_restarts(
    server: AMachine, shown: Shown, others: tuple[str, ...]
) -> None:
    calls = rke2_starts_anew(server, shown)
    servers(server, *others)
    done = rotate(server)
    assert (done.status, calls, server.path(MARK).exists()) == (1, [], False)
    assert done.stderr.startswith("mig-k8s: nothing was changed on mlops-k8s-master: RKE2 restarts there")
    assert "so the cluster would be without the majority of its servers. Bring them back" in done.stderr


@pytest.mark.parametrize("others", [("True", "True"), ("True", "Unknown", "True", "True"), ("True",)])
def test_with_the_majority_of_the_others_alive_a_server_restarts(server: AMachine, others: tuple[str, ...]) -> None:
    servers(server, *others)
    assert rotate(server).status == 0


def test_where_nobody_tells_of_the_others_nothing_restarts(server: AMachine, shown: Shown) -> None:
    calls = rke2_starts_anew(server, shown)
    server.api.change(away=True)
    done = rotate(server)
    assert (done.status, calls) == (1, [])
    assert "nothing was changed on mlops-k8s-master: it is not known whether the other servers run: " in done.stderr


@pytest.mark.parametrize("end", [-3, None])
def test_a_server_whose_certificates_have_ended_and_whose_api_is_gone_is_cured(
    server: AMachine, shown: Shown, end: int | None
) -> None:
    shown.update({KUBELET: end, API_SERVER: end})
    server.api.change(away=True)
    starts = server.answers["systemd-run"]

    def answer(command: tuple[str, ...], stdin: str) -> Ended:
        server.api.change(away=False)
        return starts(command, stdin)

    server.answers["systemd-run"] = answer
    assert rotate(server).status == 0


def test_beside_a_run_of_stages_nothing_restarts(server: AMachine, shown: Shown) -> None:
    calls = rke2_starts_anew(server, shown)
    with lock.held(server.path("/run/mig-k8s/converge"), server.clock, seconds=0):
        done = rotate(server)
    assert (done.status, calls) == (1, [])
    assert done.stderr == (
        "mlops-k8s-master: a run of its stages, or a call of this whose session was cut, is at work there: waits for it"
        "\nmig-k8s: nothing was changed on mlops-k8s-master: that did not end within 1500 s\n"
    )


@pytest.fixture
def agents(tmp_path: Path, shown: Shown) -> Agents:
    """Two agents, of which one may be out; RKE2 gets other certificates when it starts."""
    made = Agents(tmp_path, "gpu", "gpu-1")
    for machine in made.machines.values():
        restarts(made, machine, lambda: shown.update({KUBELET: 364}))
    return made


def restarts(agents: Agents, machine: AMachine, then: Callable[[], Any]) -> None:
    """Have something happen when RKE2 restarts on an agent, which is cordoned then."""
    systemctl = machine.systemd.answer

    def answer(command: tuple[str, ...], stdin: str) -> Ended:
        if command[1] == "restart":
            assert command[2] == "rke2-agent.service"
            assert agents.cordoned() == [machine.node_name()]
            then()
        return systemctl(command, stdin)

    machine.answers["systemctl"] = answer


def test_an_agent_restarts_rke2_in_its_turn_and_takes_pods_again(agents: Agents) -> None:
    done = rotate(agents.machines["gpu"])
    assert (done.status, done.stderr) == (0, "gpu has new certificates, the first of them ends in 364 days\n")
    assert agents.machines["gpu"].systemd.calls("systemctl restart") == ["systemctl restart rke2-agent.service"]
    assert (agents.out(), agents.cordoned()) == ([], [])


def test_an_agent_waits_for_those_who_are_out(agents: Agents) -> None:
    agents.turn("gpu-1").take("it reboots", told=lambda _: None)
    agents.machines["gpu"].clock.at(100, agents.turn("gpu-1").end)
    assert rotate(agents.machines["gpu"]).status == 0
    assert 100 <= sum(agents.machines["gpu"].clock.slept) <= 104


def test_an_agent_that_was_killed_in_its_turn_is_brought_back_by_the_next_call(agents: Agents, shown: Shown) -> None:
    machine = agents.machines["gpu"]

    class KilledError(BaseException):
        """SIGKILL: nothing of the way back is done."""

    def killed() -> None:
        shown[KUBELET] = 364
        machine.answers["kubectl"] = lambda *_: (_ for _ in ()).throw(KilledError())
        raise KilledError

    restarts(agents, machine, killed)
    with pytest.raises(KilledError):
        rotate(machine)
    assert agents.out() == ["gpu"]
    machine.answers["kubectl"] = machine.api.answer
    machine.answers["systemctl"] = machine.systemd.answer
    assert rotate(machine).status == 0
    assert (agents.out(), agents.cordoned()) == ([], [])
