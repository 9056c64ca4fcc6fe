"""The SSH host keys that a machine shows: those of the stack and no others, once sshd has said that it would."""

import json

import pytest
from a_machine import AMachine
from staged import StagedMachine, configuration

from machine.documents.configuration import Configuration
from machine.host.errors import MachineError
from machine.host.program import Ended
from machine.update import host_keys
from machine.update.command import update

CONFIG, FOLDER = "etc/ssh/sshd_config.d/10-mig-k8s.conf", "etc/ssh/mig-k8s"


@pytest.fixture
def machine(a_machine: AMachine) -> AMachine:
    """With an sshd that reads what lies in its folder."""
    a_machine.write("usr/sbin/sshd", "", 0o755)

    def sshd(command: tuple[str, ...], _stdin: str) -> Ended:
        assert command[1:] == ("-T",)
        config = a_machine.path(CONFIG)
        shown = config.read_text() if config.exists() else ""
        return Ended(command, 0, f"port 22\n{shown.replace('HostKey', 'hostkey')}", "")

    a_machine.answers["sshd"] = sshd
    reloads(a_machine)
    return a_machine


def reloads(machine: AMachine, status: int = 0) -> list[str]:
    """What sshd was told; it does it, or fails."""
    told: list[str] = []

    def systemctl(command: tuple[str, ...], _stdin: str) -> Ended:
        told.append(" ".join(command[1:]))
        return Ended(command, status, "", "Job failed.\n" if status else "")

    machine.answers["systemctl"] = systemctl
    return told


def shown(machine: AMachine) -> list[str]:
    """The content of the files that sshd is told of."""
    lines = machine.read(CONFIG).splitlines()
    paths = [line.removeprefix("HostKey ") for line in lines]
    assert all(path.startswith(f"{machine.path(FOLDER)}/key-") for path in paths)
    return [machine.read(path.removeprefix(f"{machine.root}/")) for path in paths]


def test_sshd_shows_the_keys_of_the_stack_and_no_others(machine: AMachine) -> None:
    told = reloads(machine)
    assert host_keys.write(machine, ["one\n", "two\n"])
    assert shown(machine) == ["one\n", "two\n"]
    assert told == ["try-reload-or-restart ssh.service"]
    assert {machine.mode_of(f"{FOLDER}/{path.name}") for path in machine.path(FOLDER).iterdir()} == {"0o600"}
    assert host_keys.write(machine, ["two\n"])
    assert shown(machine) == ["two\n"]
    assert len(list(machine.path(FOLDER).iterdir())) == 1, "the key that went lies there yet"


def test_a_second_time_sshd_is_not_told_again(machine: AMachine) -> None:
    host_keys.write(machine, ["one\n"])
    told = reloads(machine)
    assert not host_keys.write(machine, ["one\n"])
    assert told == []


def test_without_keys_of_the_stack_nothing_is_touched(machine: AMachine) -> None:
    assert not host_keys.write(machine, [])
    assert not machine.path("etc/ssh").exists()


def test_where_it_was_cut_before_sshd_was_told_the_next_time_tells_it(machine: AMachine) -> None:
    reloads(machine, status=1)
    with pytest.raises(MachineError, match=r"sshd does not take its new host keys: Job failed\."):
        host_keys.write(machine, ["one\n"])
    told = reloads(machine)
    assert host_keys.write(machine, ["one\n"])
    assert told == ["try-reload-or-restart ssh.service"]
    assert not host_keys.write(machine, ["one\n"])


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Ended(("sshd",), 255, "", "Unable to load host key\n"), "Unable to load host key"),
        (Ended(("sshd",), 0, "hostkey /etc/ssh/ssh_host_ed25519_key\n", ""), "does /etc/ssh/sshd_config include"),
    ],
)
def test_where_sshd_would_not_show_them_it_goes_on_as_it_was(machine: AMachine, ended: Ended, words: str) -> None:
    answers, told = machine.answers["sshd"], reloads(machine)
    machine.answers["sshd"] = lambda *_: ended
    with pytest.raises(MachineError, match=words):
        host_keys.write(machine, ["one\n"])
    assert (machine.path(CONFIG).exists(), told) == (False, [])
    machine.answers["sshd"] = answers
    host_keys.write(machine, ["one\n"])
    machine.answers["sshd"] = lambda *_: ended
    with pytest.raises(MachineError, match="goes on as it was"):
        host_keys.write(machine, ["two\n"])
    assert shown(machine) == ["one\n"]


def test_update_shows_them_before_anything_that_the_cluster_may_refuse(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = StagedMachine.below(tmp_path_factory.mktemp("staged"))
    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr(host_keys, "write", lambda _machine, keys: seen.append(keys) or True)
    monkeypatch.setattr("machine.update.founding.check", lambda *_: (_ for _ in ()).throw(MachineError("refused")))
    wanted = Configuration.from_json(json.dumps({**json.loads(configuration()), "hostKeys": ["one\n"]}))
    with pytest.raises(MachineError, match="refused"):
        update(staged, wanted)
    assert seen == [("one\n",)]
