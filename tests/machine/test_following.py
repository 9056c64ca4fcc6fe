"""update, resume, ready and status: what somebody sees who brings a machine to its desired state over SSH."""

import io
import json
import re
from pathlib import Path

import pytest
from a_machine import DESIRED
from full_disk import FillDisk
from staged import RUN, STAGES, StagedMachine, configuration
from test_converge import REBOOT_ONCE, ROOM

Said = pytest.CaptureFixture[str]
THIRD_BOOT = "33333333-3333-3333-3333-333333333333"


@pytest.fixture
def machine(tmp_path: Path) -> StagedMachine:
    return StagedMachine.below(tmp_path)


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The standard input of the next command, to be written to."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdin", stream)
    return stream


def give(stdin: io.StringIO, text: str) -> None:
    stdin.seek(0)
    stdin.truncate()
    stdin.write(text)
    stdin.seek(0)


def test_update_writes_what_differs_and_says_how_far_it_is(
    machine: StagedMachine, stdin: io.StringIO, capsys: Said
) -> None:
    machine.stage("driver", "echo progress installing nvidia 580\necho done nvidia 580.159.04")
    give(stdin, configuration(token="tell-nobody\n", driver={**DESIRED["driver"], "branch": 595}))
    assert machine.command("update") == 0
    said = capsys.readouterr()
    lines = [re.sub(r"  \d+ s$", "", line) for line in said.out.splitlines()]
    lines.remove("rke2-download  done: rke2-download is well")  # beside the others, whenever that is
    assert lines == [
        "files          2 written",
        "apt            done: apt is well",
        "driver         installing nvidia 580",
        "driver         done: nvidia 580.159.04",
        "fabric-manager skipped: no NVSwitch joins this machine's GPUs",
        "toolkit        done: toolkit is well",
        "mig-mode       done: mig-mode is well",
        "rke2           done: rke2 is well",
    ]
    assert machine.read("etc/rancher/rke2/token") == "tell-nobody\n"
    assert machine.mode_of("etc/rancher/rke2/token") == "0o600"
    assert machine.mode_of("etc/mig-k8s/desired.json") == "0o600"
    assert machine.read("etc/rancher/rke2/config.yaml") == "cni: calico\n"
    assert json.loads(machine.read("etc/mig-k8s/desired.json"))["driver"]["branch"] == 595
    assert "tell-nobody" not in said.out + said.err + machine.result().to_json()


def test_a_second_update_does_nothing(machine: StagedMachine, stdin: io.StringIO, capsys: Said) -> None:
    give(stdin, configuration())
    machine.command("update")
    machine.runs()
    capsys.readouterr()
    before = machine.read("var/lib/mig-k8s/result.json")
    give(stdin, configuration())
    assert machine.command("update") == 0
    assert capsys.readouterr().out == "files          0 written\n"
    assert machine.runs() == []
    assert machine.read("var/lib/mig-k8s/result.json") == before


def test_update_has_the_units_started_at_every_boot(machine: StagedMachine, stdin: io.StringIO) -> None:
    give(stdin, configuration())
    machine.command("update")
    assert machine.systemd.calls("systemctl enable") == [
        "systemctl enable mig-k8s-converge.service mig-k8s-instances.service mig-k8s-pods.service"
    ]


def test_a_token_that_is_there_stays_where_none_comes(machine: StagedMachine, stdin: io.StringIO) -> None:
    machine.write("etc/rancher/rke2/token", "the first\n", 0o600)
    give(stdin, configuration())
    machine.command("update")
    assert machine.read("etc/rancher/rke2/token") == "the first\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json tell-nobody", "standard input: the configuration is not JSON"),
        ("", "standard input: the configuration is not JSON"),
        ('{"version":2,"rke2Token":"tell-nobody"}', "has version 2, this release of mig-k8s understands 1"),
        ('{"version":1,"rke2Token":"tell-nobody"}', "the configuration: desiredState is missing"),
        ('{"version":1,"files":[]}', "this release of mig-k8s does not know files: `pulumi up` of the checkout"),
        (configuration(token="tell-nobody")[:-30], "standard input: the configuration is not JSON"),
    ],
)
def test_a_wrong_configuration_is_refused_before_anything_is_written(
    machine: StagedMachine, stdin: io.StringIO, capsys: Said, text: str, said: str
) -> None:
    before = machine.read("etc/mig-k8s/desired.json")
    give(stdin, text)
    assert machine.command("update") == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert "tell-nobody" not in errors
    assert machine.read("etc/mig-k8s/desired.json") == before
    assert not machine.path("etc/rancher/rke2/token").exists()
    assert machine.runs() == []


def test_a_configuration_that_is_not_text_is_told_without_a_traceback(
    machine: StagedMachine, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    torn = configuration(token="tell-nobody").encode() + b"tell-nobody \xff tell-nobody"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(torn), encoding="utf-8"))
    assert machine.command("update") == 1
    assert capsys.readouterr().err == (
        "mig-k8s: what was read, a file or standard input, is not UTF-8 text. `pulumi up` sends it again\n"
    )


def test_a_configuration_for_another_machine_is_refused_before_anything_is_written(
    machine: StagedMachine, stdin: io.StringIO, capsys: Said
) -> None:
    before = machine.read("etc/mig-k8s/desired.json")
    give(stdin, configuration(token="tell-nobody", node_password="tell-nobody", node={"name": "gpu-1"}))
    assert machine.command("update") == 2
    assert capsys.readouterr().err == (
        "mig-k8s: this machine is mlops-k8s-master, and what came is for gpu-1: nothing was changed. The address that "
        "was dialled may have been given to another machine: `pulumi refresh`, then `pulumi up`\n"
    )
    assert machine.read("etc/mig-k8s/desired.json") == before
    assert not machine.path("etc/rancher/rke2/token").exists()
    assert not machine.path("etc/rancher/node/password").exists()
    assert machine.systemd.calls() == []
    assert machine.runs() == []


@pytest.mark.parametrize("before", [None, "torn"])
def test_a_machine_that_does_not_know_its_name_takes_the_configuration(
    machine: StagedMachine, stdin: io.StringIO, before: str | None
) -> None:
    machine.path("etc/mig-k8s/desired.json").unlink()
    if before is not None:
        machine.write("etc/mig-k8s/desired.json", before)
    give(stdin, configuration(node={"name": "gpu-1"}))
    assert machine.command("update") == 0
    assert machine.node_name() == "gpu-1"


def test_a_disk_without_room_for_the_configuration_keeps_the_old_files(
    machine: StagedMachine, stdin: io.StringIO, fill_disk: FillDisk, capsys: Said
) -> None:
    before = machine.read("etc/mig-k8s/desired.json")
    fill_disk("desired.json")
    give(stdin, configuration(mig=None))
    assert machine.command("update") == 1
    assert f"mig-k8s: cannot write {machine.root}/etc/mig-k8s/desired.json: {ROOM}" in capsys.readouterr().err
    assert machine.read("etc/mig-k8s/desired.json") == before
    assert [path.name for path in machine.path("etc/mig-k8s").iterdir()] == ["desired.json"]
    assert machine.runs() == []


def test_one_reboot_lies_between_update_and_ready(machine: StagedMachine, stdin: io.StringIO, capsys: Said) -> None:
    machine.stage("mig-mode", REBOOT_ONCE)
    give(stdin, configuration())
    assert machine.command("update") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "reboot         the machine reboots now"
    # What pam_nologin and the next dial see: logins are closed before the follower is told.
    assert machine.read("run/nologin").startswith("mig-k8s: this machine reboots")
    assert machine.runs() == ["apt", "driver", "toolkit", "mig-mode"]
    machine.next_boot()
    assert machine.command("ready") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "done"
    assert machine.runs() == list(RUN)


def test_a_second_reboot_lies_between_resume_and_ready(machine: StagedMachine, capsys: Said) -> None:
    machine.stage("driver", REBOOT_ONCE.replace("MIG mode of GPU 0 changes only with a reboot", "for the driver"))
    machine.stage("mig-mode", "echo reboot MIG mode of GPU 0 changes only with a reboot")
    assert machine.command("resume") == 0
    machine.next_boot()
    capsys.readouterr()
    assert machine.command("resume") == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "mig-mode       reboot: MIG mode of GPU 0 changes only with a reboot  0 s",
        "reboot         the machine reboots now",
    ]
    machine.next_boot()
    machine.boot(THIRD_BOOT)
    machine.stage("mig-mode", "echo unchanged GPU 0 Enabled")
    assert machine.command("ready") == 0


def test_a_third_reboot_is_for_the_next_up(machine: StagedMachine, capsys: Said) -> None:
    machine.stage("mig-mode", REBOOT_ONCE)
    assert machine.command("ready") == 75
    said = capsys.readouterr()
    assert said.out == ""
    assert "the machine is about to reboot; run `pulumi up` again, it goes on when the machine is back" in said.err


def test_a_unit_that_systemd_cannot_start_is_told_with_its_words(machine: StagedMachine, capsys: Said) -> None:
    machine.systemd.set(broken=["mig-k8s-converge.service"])
    assert machine.command("ready") == 1
    words = "mig-k8s: systemd cannot start mig-k8s-converge.service: Failed to start it: Unit is masked."
    assert words in capsys.readouterr().err


def test_status_tells_how_far_it_is_and_changes_nothing(machine: StagedMachine, capsys: Said) -> None:
    assert machine.command("status") == 1
    assert capsys.readouterr().out.splitlines() == [
        *[f"{name:<14} not run yet" for name in STAGES],
        "left to do: apt, driver, fabric-manager, toolkit, mig-mode, rke2-download, rke2",
    ]
    assert machine.runs() == []
    machine.converge()
    capsys.readouterr()
    assert machine.command("status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "everything is done"
    assert lines[1].startswith("driver         done: driver is well")


def test_status_says_that_a_run_is_under_way(machine: StagedMachine, capsys: Said) -> None:
    machine.converge()
    machine.systemd.set(active=["mig-k8s-converge.service"])
    assert machine.command("status") == 1
    assert capsys.readouterr().out.splitlines()[-1] == "running"


@pytest.mark.parametrize("words", [[], ["nonsense"], ["update", "more"], ["converge", "--fast"]])
def test_a_wrong_command_line_is_refused_with_the_commands_there_are(
    machine: StagedMachine, capsys: Said, words: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        machine.command(*words)
    assert ended.value.code == 2
    assert "usage: mig-k8s" in capsys.readouterr().err
    assert machine.runs() == []
