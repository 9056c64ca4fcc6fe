"""The stage that runs while others do: RKE2's download and first installation, beside the driver's."""

import io
import tarfile
from pathlib import Path

import pytest
from a_machine import NAME, AMachine
from full_disk import FillDisk
from install_stages import fetched, run
from kubernetes_objects import node, pod
from rke2_on_machine import NEWER, RKE2, UPGRADE, put_in_place, release, tarball_of
from staged import BESIDE, StagedMachine, WentDownError

WAITS_FOR = """
    for _ in $(seq 200); do [ -e "$STATE/{0}" ] && break; sleep 0.05; done
    [ -e "$STATE/{0}" ] || {{ echo failed {0} was never there; exit 1; }}
"""
"""Until a stage that runs at the same time has made this file; at most 10 s."""


@pytest.fixture
def machine(tmp_path: Path) -> StagedMachine:
    return StagedMachine.below(tmp_path)


def test_it_and_the_driver_run_at_the_same_time(machine: StagedMachine) -> None:
    machine.stage(BESIDE, f'touch "$STATE/download"{WAITS_FOR.format("driver")}echo done both')
    machine.stage("driver", f'touch "$STATE/driver"{WAITS_FOR.format("download")}echo done both')
    assert machine.converge() == 0
    assert (machine.reason(BESIDE), machine.reason("driver")) == ("both", "both")


def test_rke2_waits_for_it(machine: StagedMachine) -> None:
    machine.stage(BESIDE, f'{WAITS_FOR.format("mode")}sleep 0.3; touch "$STATE/download"\necho done it')
    machine.stage("mig-mode", 'touch "$STATE/mode"\necho done it')
    machine.stage("rke2", '[ -e "$STATE/download" ] && echo done after it || echo failed before it')
    assert machine.converge() == 0
    assert machine.reason("rke2") == "after it"


def test_where_it_fails_all_others_come_about_rke2_is_not_tried_and_the_next_run_does_both(
    machine: StagedMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.stage(BESIDE, "echo failed no way out\nexit 1")
    assert machine.command("ready") == 1
    assert machine.runs() == ["apt", "driver", "toolkit", "mig-mode"]
    errors = capsys.readouterr().err
    assert "rke2-download failed: no way out" in errors
    assert "rke2 skipped: not tried, because rke2-download failed" in errors
    machine.stage(BESIDE, "echo done it")
    assert machine.command("ready") == 0
    assert machine.runs() == ["rke2"]


def test_an_rke2_that_is_settled_is_left_alone_where_it_fails(machine: StagedMachine) -> None:
    machine.converge()
    machine.runs()
    machine.stage(BESIDE, "echo failed no way out\nexit 1")
    assert machine.converge() == 1
    assert (machine.runs(), machine.outcomes()["rke2"]) == ([], "done")


def test_a_reboot_waits_for_it(machine: StagedMachine) -> None:
    machine.stage(BESIDE, f'{WAITS_FOR.format("mode")}sleep 0.3; touch "$STATE/download"\necho done it')
    machine.stage("mig-mode", 'touch "$STATE/mode"\necho reboot MIG mode of GPU 0 changes only with a reboot')
    seen: list[bool] = []
    machine.systemd.on_reboot = lambda: seen.append((machine.state / "download").exists())
    with pytest.raises(WentDownError):
        machine.converge()
    assert seen == [True]
    assert machine.record(BESIDE).outcome == "done"
    said = machine.read("run/mig-k8s/progress")
    assert "mig-mode       reboots when rke2-download has ended  0 s" in said


def test_pods_go_on_while_a_reboot_waits_for_it(machine: StagedMachine) -> None:
    machine.join("agent")
    machine.api.change(nodes=[node(NAME, "b", {}, {})], pods=[pod("train-0", NAME, "u1")])
    machine.desire(pods={"onChange": "drain", "namespaces": ["kube-system"]})
    seen: list[bool] = []
    machine.api.before("/eviction", lambda _: seen.append((machine.state / "download").exists()))
    machine.stage("driver", 'touch "$STATE/driver"\necho reboot the kernel runs another driver version')
    machine.stage(BESIDE, f'{WAITS_FOR.format("driver")}sleep 0.3; touch "$STATE/download"\necho done it')
    with pytest.raises(WentDownError):
        machine.converge()
    assert set(seen) == {True}
    assert machine.api.listed("pods") == []


def test_what_was_downloaded_before_a_reboot_is_not_run_for_nothing(machine: StagedMachine) -> None:
    machine.converge()
    assert machine.runs(beside=True) == [BESIDE]
    machine.converge()
    assert machine.runs(beside=True) == []
    machine.next_boot()
    machine.converge()
    assert machine.runs(beside=True) == [BESIDE]


def test_a_full_disk_is_told_by_its_name(machine: StagedMachine, fill_disk: FillDisk) -> None:
    """The record that comes after the download cannot be kept; the run ends and says why."""

    def once() -> bool:
        marker = machine.state / "full"
        if not marker.exists():
            return False
        marker.unlink()
        (machine.state / "told").touch()
        return True

    machine.stage(BESIDE, f'{WAITS_FOR.format("apt")}touch "$STATE/full"\necho done it')
    machine.stage("apt", f'touch "$STATE/apt"{WAITS_FOR.format("told")}echo done it')
    fill_disk("result.json", once)
    assert machine.command("resume") == 1
    assert "rke2-download failed: cannot write" in machine.read("run/mig-k8s/trouble")


# ---- the real stage

TARBALL = "var/lib/mig-k8s/rke2/rke2.linux-amd64.tar.gz"


def test_on_a_machine_without_rke2_it_is_installed_and_not_started(rke2_machine: AMachine) -> None:
    assert run(rke2_machine, "rke2-download", **RKE2)[:2] == (0, "done RKE2 v1.35.7+rke2r1 is installed")
    assert put_in_place(rke2_machine) == 1
    assert not [call for call in rke2_machine.calls("systemctl") if "rke2" in call]
    assert run(rke2_machine, "rke2-download", **RKE2)[:2] == (0, "unchanged RKE2 v1.35.7+rke2r1 is installed")
    assert run(rke2_machine, "rke2", **RKE2)[1] == "done RKE2 v1.35.7+rke2r1 server is ready"
    assert fetched(rke2_machine) == ["sha256sum-amd64.txt", "rke2.linux-amd64.tar.gz"]
    assert put_in_place(rke2_machine) == 1
    assert not rke2_machine.path(TARBALL).exists()


def test_an_older_rke2_stays_until_the_stage_that_has_the_turn(rke2_server: AMachine) -> None:
    release(rke2_server, f"mirror.example/rke2/{NEWER}")
    assert run(rke2_server, "rke2-download", **UPGRADE)[:2] == (0, f"done RKE2 {NEWER} is downloaded")
    assert put_in_place(rke2_server) == 0
    assert run(rke2_server, "rke2-download", **UPGRADE)[:2] == (0, f"unchanged RKE2 {NEWER} is downloaded")
    assert run(rke2_server, "rke2", **UPGRADE)[1] == f"done RKE2 {NEWER} server is ready"
    assert fetched(rke2_server) == ["sha256sum-amd64.txt", "rke2.linux-amd64.tar.gz"]
    assert run(rke2_server, "rke2-download", **UPGRADE)[:2] == (0, f"unchanged RKE2 {NEWER} is installed")
    assert not rke2_server.path(TARBALL).exists()


def test_what_was_downloaded_for_another_version_source_or_checksum_is_not_taken(rke2_server: AMachine) -> None:
    release(rke2_server, f"mirror.example/rke2/{NEWER}")
    run(rke2_server, "rke2-download", **UPGRADE)
    code, last, _ = run(rke2_server, "rke2-download", **{**UPGRADE, "RKE2_SHA256": "1" * 64})
    assert code == 1
    assert "which is not the one of rke2.sha256" in last
    elsewhere = {**UPGRADE, "RKE2_ARTIFACTS": "https://elsewhere.example"}
    assert run(rke2_server, "rke2", **elsewhere)[1].startswith(
        "failed cannot download https://elsewhere.example/sha256sum-amd64.txt: curl: (22)"
    )
    assert run(rke2_server, "rke2-download", **UPGRADE)[:2] == (0, f"done RKE2 {NEWER} is downloaded")


def test_a_tarball_that_was_damaged_on_the_disk_is_downloaded_again_by_the_next_run(rke2_server: AMachine) -> None:
    release(rke2_server, f"mirror.example/rke2/{NEWER}")
    run(rke2_server, "rke2-download", **UPGRADE)
    rke2_server.write(TARBALL, "torn")
    assert run(rke2_server, "rke2", **UPGRADE)[1].startswith(
        "failed cannot unpack rke2.linux-amd64.tar.gz in /usr/local"
    )
    assert run(rke2_server, "rke2", **UPGRADE)[1] == f"done RKE2 {NEWER} server is ready"


def test_a_download_or_an_installation_that_was_cut_off_begins_anew(rke2_machine: AMachine) -> None:
    rke2_machine.write(TARBALL, "half of")
    rke2_machine.write("usr/local/.rke2-unpacked/bin/rke2", "half of")
    rke2_machine.write("usr/local/lib/systemd/system/rke2-server.service", "of the run that was cut off")
    assert run(rke2_machine, "rke2-download", **RKE2)[:2] == (0, "done RKE2 v1.35.7+rke2r1 is installed")
    assert run(rke2_machine, "rke2", **RKE2)[1] == "done RKE2 v1.35.7+rke2r1 server is ready"


def test_an_rke2_that_the_machines_image_brings_is_not_downloaded_and_is_started(rke2_machine: AMachine) -> None:
    """Its files alone, of the wanted version: it never ran, so there is no node and no cluster in the image."""
    with tarfile.open(fileobj=io.BytesIO(tarball_of("v1.35.7+rke2r1"))) as tar:
        tar.extractall(rke2_machine.path("usr/local"), filter="tar")
    assert run(rke2_machine, "rke2-download", **RKE2)[:2] == (0, "unchanged RKE2 v1.35.7+rke2r1 is installed")
    assert run(rke2_machine, "rke2", **RKE2)[:2] == (0, "done RKE2 v1.35.7+rke2r1 server is ready")
    assert rke2_machine.calls("curl") == []
    assert put_in_place(rke2_machine) == 0
