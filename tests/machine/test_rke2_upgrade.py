"""Another version of RKE2 on a machine where one runs: what the stage does, wherever it is cut off."""

import subprocess
from pathlib import Path

import pytest
from a_machine import AMachine
from install_stages import run
from rke2_on_machine import RKE2, RKE2_SYSTEMCTL, put_in_place, release

NEWER = "v1.36.4+rke2r1"
READY = f"done RKE2 {NEWER} server is ready"
SNAPSHOT = [
    "rke2 etcd-snapshot save --name mig-k8s-from-v1.35.7",
    "rke2 etcd-snapshot prune --name mig-k8s-from- --snapshot-retention 3",
]
RESTART = ["systemctl restart rke2-server.service"]


def to(version: str, role: str = "server") -> dict[str, str]:
    """What the stage is told of this version."""
    where = f"https://mirror.example/rke2/{version}"
    return {**RKE2, "RKE2_VERSION": version, "RKE2_ARTIFACTS": where, "RKE2_ROLE": role}


def running(machine: AMachine) -> str:
    """The version of the process that runs."""
    return version_of(machine.path("proc/77/exe"))


def on_disk(machine: AMachine) -> str:
    """The version of the program that is installed."""
    return version_of(machine.path("usr/local/bin/rke2"))


def version_of(program: Path) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]


@pytest.fixture
def server(rke2_server: AMachine) -> AMachine:
    """It runs v1.35.7+rke2r1 and has a datastore."""
    rke2_server.path("var/lib/rancher/rke2/server/db/etcd").mkdir(parents=True)
    for version in (NEWER, "v1.35.8+rke2r1", "v1.35.3+rke2r1"):
        release(rke2_server, f"mirror.example/rke2/{version}")
    return rke2_server


def test_a_server_is_upgraded_after_a_snapshot_of_which_three_are_kept(server: AMachine) -> None:
    assert run(server, "rke2", **to(NEWER))[1] == READY
    done = [
        call for call in server.calls() if call.startswith(("rke2", "systemctl daemon-reload", "systemctl restart"))
    ]
    assert done == [*SNAPSHOT, "systemctl daemon-reload", *RESTART]
    assert running(server) == NEWER
    assert (server.state / "served").read_text(encoding="utf-8") == f"{NEWER}\n"  # the API server was waited for
    server.forget_calls()
    assert run(server, "rke2", **to(NEWER))[1] == READY.replace("done", "unchanged")
    assert server.calls("rke2") + server.calls("curl") + server.calls("systemctl restart") == []


def test_an_upgrade_killed_between_installation_and_restart_is_taken_up_again(server: AMachine) -> None:
    server.program("systemctl", f'[ "$1" != enable ] || kill -9 "$(cut -d" " -f4 /proc/$PPID/stat)"\n{RKE2_SYSTEMCTL}')
    assert run(server, "rke2", **to(NEWER))[0] == -9
    assert (running(server), on_disk(server), server.calls("systemctl restart")) == ("v1.35.7+rke2r1", NEWER, [])
    server.program("systemctl", RKE2_SYSTEMCTL)
    server.forget_calls()
    assert run(server, "rke2", **to(NEWER))[1] == READY
    assert (running(server), server.calls("systemctl restart")) == (NEWER, RESTART)
    assert server.calls("rke2") == SNAPSHOT  # of the old version still, since that is the one that runs
    assert server.calls("curl") == []


def test_an_upgrade_that_finds_rke2_starting_waits_for_it_and_then_restarts_it(server: AMachine) -> None:
    """As after a boot: systemd starts RKE2 by itself, while the stages run."""
    (server.state / "starting").touch()
    assert run(server, "rke2", **to(NEWER))[1] == READY
    assert (running(server), server.calls("rke2"), server.calls("systemctl restart")) == (NEWER, SNAPSHOT, RESTART)


def test_an_agent_that_was_starting_as_the_old_version_is_restarted(rke2_agent: AMachine) -> None:
    release(rke2_agent, f"mirror.example/rke2/{NEWER}")
    (rke2_agent.state / "starting").touch()
    assert run(rke2_agent, "rke2", **to(NEWER, "agent"))[1] == f"done RKE2 {NEWER} agent is ready"
    assert (running(rke2_agent), rke2_agent.calls("rke2")) == (NEWER, [])


@pytest.mark.parametrize("version", [NEWER, "v1.35.8+rke2r1"])
def test_without_a_snapshot_nothing_is_upgraded(server: AMachine, version: str) -> None:
    (server.state / "no-snapshot").write_text("INFO asking\nError: no space left on device\n", encoding="utf-8")
    code, last, _ = run(server, "rke2", **to(version))
    assert code == 1
    assert last.startswith(
        f"failed RKE2 stays at v1.35.7+rke2r1: no snapshot of etcd could be saved before {version}: Error: no space"
        " left on device. Is there room (df -h "
    )
    assert (server.calls("curl") + server.calls("systemctl restart"), put_in_place(server)) == ([], 0)
    assert running(server) == "v1.35.7+rke2r1"


def test_a_server_that_does_not_run_takes_another_patch_but_no_other_minor(server: AMachine) -> None:
    (server.state / "up").unlink()
    (server.state / "broken").touch()
    code, last, _ = run(server, "rke2", **to(NEWER))
    assert code == 1
    assert last == (
        "failed RKE2 stays at v1.35.7+rke2r1: rke2-server.service does not start, so no snapshot of etcd can be saved"
        f" before {NEWER}. Bring it up first: journalctl -u rke2-server.service tells why it does not start"
    )
    assert put_in_place(server) == 0
    run(server, "rke2", **to("v1.35.8+rke2r1"))
    assert (put_in_place(server), on_disk(server)) == (1, "v1.35.8+rke2r1")


def test_a_patch_is_gone_back_by_another_program_and_a_restart(server: AMachine) -> None:
    assert run(server, "rke2", **to("v1.35.3+rke2r1"))[1] == "done RKE2 v1.35.3+rke2r1 server is ready"
    assert (running(server), server.calls("systemctl restart")) == ("v1.35.3+rke2r1", RESTART)


def test_a_process_that_is_still_another_version_after_its_restart_is_a_failure(server: AMachine) -> None:
    server.program("systemctl", 'case "$1" in is-active) echo active ;; show) echo 77 ;; esac')
    code, last, _ = run(server, "rke2", **to(NEWER))
    assert code == 1
    assert last == (
        f"failed {NEWER} is installed, but rke2-server.service runs as v1.35.7+rke2r1: systemctl status"
        " rke2-server.service"
    )
