"""RKE2's tarball: where it comes from, what it is held to, where its files go, and what is left by a run cut off."""

import subprocess

import pytest
from a_machine import AMachine
from install_stages import CURL, run, web
from rke2_on_machine import NEWER, RKE2, RKE2_SYSTEMCTL, UPGRADE, put_in_place, release

OLD = "v1.35.7+rke2r1"
READY = f"done RKE2 {OLD} server is ready"
BASE = f"https://mirror.example/rke2/{OLD}"
TARBALL = "mirror.example/rke2/v1.35.7+rke2r1/rke2.linux-amd64.tar.gz"
LIST = "mirror.example/rke2/v1.35.7+rke2r1/sha256sum-amd64.txt"


def version(machine: AMachine, program: str = "usr/local/bin/rke2") -> str:
    said = subprocess.run([machine.path(program), "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[2]


def test_without_a_mirror_the_releases_own_files_are_taken(rke2_machine: AMachine) -> None:
    release(rke2_machine, "github.com/rancher/rke2/releases/download/v1.35.7%2Brke2r1")
    assert run(rke2_machine, "rke2", **{**RKE2, "RKE2_ARTIFACTS": ""})[0] == 0


def test_nothing_that_was_downloaded_is_run_but_the_program_of_the_checked_tarball(rke2_machine: AMachine) -> None:
    assert run(rke2_machine, "rke2", **RKE2)[1] == READY
    fetched = [call.rpartition(" ")[2] for call in rke2_machine.calls("curl")]
    assert fetched == [f"{BASE}/sha256sum-amd64.txt", f"{BASE}/rke2.linux-amd64.tar.gz"]


def test_the_files_are_roots_with_their_modes_and_nothing_of_the_download_is_left(rke2_machine: AMachine) -> None:
    assert run(rke2_machine, "rke2", **RKE2)[1] == READY
    local = rke2_machine.path("usr/local")
    assert sorted(str(path.relative_to(local)) for path in local.rglob("*") if path.is_file()) == [
        "bin/rke2", "bin/rke2-killall.sh", "bin/rke2-uninstall.sh", "lib/systemd/system/rke2-agent.service",
        "lib/systemd/system/rke2-server.service", "share/rke2/LICENSE.txt", "share/rke2/rke2-cis-sysctl.conf",
    ]  # fmt: skip
    assert {path.stat().st_uid for path in local.rglob("*")} == {local.stat().st_uid}
    modes = {name: rke2_machine.mode_of(f"usr/local/{name}") for name in ("bin/rke2", "share/rke2/LICENSE.txt")}
    assert modes == {"bin/rke2": "0o755", "share/rke2/LICENSE.txt": "0o644"}
    assert not rke2_machine.path("usr/local/.rke2-unpacked").exists()
    assert not rke2_machine.path("var/lib/mig-k8s/rke2").exists()


def test_a_tarball_with_another_checksum_is_refused_with_both_and_the_older_rke2_stays(rke2_server: AMachine) -> None:
    right = release(rke2_server, f"mirror.example/rke2/{NEWER}")
    web(rke2_server, f"mirror.example/rke2/{NEWER}/rke2.linux-amd64.tar.gz", b"damaged")
    code, last, ended = run(rke2_server, "rke2", **UPGRADE)
    assert code == 1
    assert last == (
        f"failed {UPGRADE['RKE2_ARTIFACTS']}/rke2.linux-amd64.tar.gz has checksum"
        " 41f0c27c00e8018f7715b5f50f67b5b54c229c1b843a014152785d9005f58fde, which is not the one of"
        f" {UPGRADE['RKE2_ARTIFACTS']}/sha256sum-amd64.txt: {right}. It is damaged or not what it claims to be; nothing"
        " was installed. If it is an RKE2 of your own making, name its checksum as rke2.sha256"
    )
    assert "half-changed" not in ended.stdout
    assert (put_in_place(rke2_server), version(rke2_server)) == (0, OLD)
    assert run(rke2_server, "rke2", **RKE2)[1] == READY.replace("done", "unchanged")


def test_a_checksum_from_elsewhere_wins_over_the_list_which_is_not_even_fetched(rke2_machine: AMachine) -> None:
    right = release(rke2_machine, f"mirror.example/rke2/{OLD}")
    web(rke2_machine, LIST, f"{'0' * 64}  rke2.linux-amd64.tar.gz\n".encode())
    code, last, _ = run(rke2_machine, "rke2", **{**RKE2, "RKE2_SHA256": "1" * 64})
    assert code == 1
    assert f"has checksum {right}, which is not the one of rke2.sha256, or of this program's table of" in last
    assert f"releases: {'1' * 64}. It is damaged" in last
    rke2_machine.forget_calls()
    assert run(rke2_machine, "rke2", **{**RKE2, "RKE2_SHA256": right})[0] == 0
    assert [call for call in rke2_machine.calls("curl") if "sha256sum" in call] == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        f"{'0' * 64}  rke2-images.linux-amd64.tar.gz\n",
        f"{'0' * 64}  rke2.linux-amd64.tar.gz.old\n",
        f"{'0' * 63}  rke2.linux-amd64.tar.gz\n",
        f"{'0' * 64}  rke2.linux-amd64.tar.gz\n{'1' * 64}  rke2.linux-amd64.tar.gz\n",
    ],
)
def test_a_list_that_does_not_name_one_checksum_of_the_tarball_is_refused(rke2_machine: AMachine, content: str) -> None:
    web(rke2_machine, LIST, content.encode())
    code, last, _ = run(rke2_machine, "rke2", **RKE2)
    assert code == 1
    assert last == (
        f"failed {BASE}/sha256sum-amd64.txt does not name one checksum of rke2.linux-amd64.tar.gz; nothing was"
        " installed. Name it as rke2.sha256"
    )
    assert put_in_place(rke2_machine) == 0


def test_nothing_of_rke2_comes_over_http_without_a_checksum(rke2_machine: AMachine) -> None:
    plain = f"http://mirror.example/rke2/{OLD}"
    code, last, _ = run(rke2_machine, "rke2", **{**RKE2, "RKE2_ARTIFACTS": plain})
    assert code == 1
    assert last.startswith(f"failed {plain}/sha256sum-amd64.txt is plain http without a checksum: anybody")
    assert rke2_machine.calls("curl") == []


def test_a_tarball_of_another_version_than_its_name_says_is_refused_before_a_file_of_it_is_in_place(
    rke2_server: AMachine,
) -> None:
    release(rke2_server, f"mirror.example/rke2/{NEWER}", "v1.34.1+rke2r1")
    code, last, _ = run(rke2_server, "rke2", **UPGRADE)
    assert code == 1
    assert last == (
        f"failed rke2.linux-amd64.tar.gz has no bin/rke2 that says {NEWER}: it is another release's. Nothing was"
        " installed"
    )
    assert (put_in_place(rke2_server), version(rke2_server)) == (0, OLD)
    assert rke2_server.read("usr/local/share/rke2/LICENSE.txt") == f"of {OLD}\n"


def test_a_version_that_does_not_exist_is_named(rke2_machine: AMachine) -> None:
    where = "https://mirror.example/rke2/v1.99.0+rke2r1"
    for checksum, name in (("", "sha256sum-amd64.txt"), ("0" * 64, "rke2.linux-amd64.tar.gz")):
        code, last, _ = run(rke2_machine, "rke2", **{**RKE2, "RKE2_ARTIFACTS": where, "RKE2_SHA256": checksum})
        assert code == 1
        assert last == (
            f"failed cannot download {where}/{name}: "
            "curl: (22) The requested URL returned error: 404. Does version v1.35.7+rke2r1 exist, can the machine "
            "reach it, and is there room on the disk? The next run tries again."
        )


def test_a_disk_that_is_full_is_named_and_not_written_to_again(rke2_machine: AMachine) -> None:
    rke2_machine.program("curl", 'echo "curl: (23) Failure writing output to destination" >&2; exit 23')
    rke2_machine.program("df", "echo Avail Mounted on; echo 1.2M /")
    code, last, _ = run(rke2_machine, "rke2", **RKE2)
    assert code == 1
    assert last == (
        f"failed cannot download {BASE}/sha256sum-amd64.txt: curl: (23) Failure writing output to destination (1.2M"
        " left on /). Does version v1.35.7+rke2r1 exist, can the machine reach it, and is there "
        "room on the disk? The next run tries again."
    )
    assert len(rke2_machine.calls("curl")) == 1


def test_a_tarball_that_does_not_fit_where_it_goes_leaves_the_older_rke2(rke2_server: AMachine) -> None:
    release(rke2_server, f"mirror.example/rke2/{NEWER}")
    rke2_server.program("tar", 'echo "tar: bin/rke2: Wrote only 512 of 10240 bytes" >&2; exit 2')
    rke2_server.program("df", "echo Avail Mounted on; echo 0 /usr")
    code, last, _ = run(rke2_server, "rke2", **UPGRADE)
    assert code == 1
    assert last == (
        "failed cannot unpack rke2.linux-amd64.tar.gz in /usr/local (0 left on /usr); RKE2 there is as it was"
    )
    assert version(rke2_server) == OLD


ELSEWHERE = RKE2_SYSTEMCTL.replace("usr/local/bin", "opt/rke2/bin")
"""systemd starts what the unit in /etc/systemd/system says."""


@pytest.mark.parametrize("why", ["a mount of its own", "not there"])
def test_where_usr_local_cannot_be_used_everything_goes_to_opt_and_the_units_to_etc(
    rke2_machine: AMachine, why: str
) -> None:
    """As RKE2's own install script decides it."""
    rke2_machine.program("systemctl", ELSEWHERE)
    if why == "not there":
        rke2_machine.path("usr/local").rmdir()
    else:
        rke2_machine.program("mountpoint", f'[ "$*" = "-q {rke2_machine.path("usr/local")}" ]')
    assert run(rke2_machine, "rke2", **RKE2)[1] == READY
    assert rke2_machine.read("etc/systemd/system/rke2-server.service") == (
        "[Service]\nEnvironmentFile=-/opt/rke2/lib/systemd/system/%N.env\nExecStart=/opt/rke2/bin/rke2 server\n"
    )
    assert rke2_machine.read("opt/rke2/bin/rke2-uninstall.sh") == '#!/bin/sh\nINSTALL_RKE2_ROOT="/opt/rke2"\n'
    assert not list(rke2_machine.path("opt/rke2").rglob("*.service"))
    assert not rke2_machine.path("usr/local/bin").exists()
    # It stays there when the mount is gone: the units of /etc/systemd/system would start it whatever else is installed.
    rke2_machine.program("mountpoint", "exit 1")
    rke2_machine.path("usr/local").mkdir(exist_ok=True)
    release(rke2_machine, f"mirror.example/rke2/{NEWER}")
    assert run(rke2_machine, "rke2", **UPGRADE)[1] == f"done RKE2 {NEWER} server is ready"
    assert (version(rke2_machine, "opt/rke2/bin/rke2"), rke2_machine.path("usr/local/bin").exists()) == (NEWER, False)


def test_an_rke2_without_its_unit_is_installed_again(rke2_machine: AMachine) -> None:
    """RKE2's own install script, cut off in the middle of its tarball, whose first file is the program."""
    program = rke2_machine.write("usr/local/bin/rke2", f"#!/bin/sh\necho rke2 version {OLD}\n", 0o755)
    assert run(rke2_machine, "rke2", **RKE2)[1] == READY
    assert rke2_machine.path("usr/local/lib/systemd/system/rke2-server.service").exists()
    assert "etcd" not in program.read_text(encoding="utf-8")


KILLABLE = """
    real() { env PATH="${PATH#*:}" "$@"; }
    echo run >>"$STATE/runs"
    if [ "$(wc -l <"$STATE/runs")" = "$(<"$STATE/cut")" ]; then
        case ${0##*/} in
            curl) while [ "$1" != --output ]; do shift; done; echo half >"$2" ;;
            tar) real tar "$@"; while [ "$1" != --directory ]; do shift; done; echo half >"$2/bin/rke2" ;;
        esac
        stages="" each=$$
        until [ "$each" -le 1 ]; do
            ! tr '\\0' ' ' <"/proc/$each/cmdline" | grep -q cloud-init/stages/rke2 || stages="$each $stages"
            each=$(cut -d' ' -f4 "/proc/$each/stat")
        done
        kill -9 $stages
        exit 1
    fi
"""
"""What runs as the `cut`th of these programs kills the stage that called it, before its subshells. What curl fetches
and tar unpacks is there in part by then."""


@pytest.mark.exhaustive
def test_wherever_it_is_cut_off_the_older_rke2_can_start_and_the_next_run_installs_the_newer_one(
    rke2_machine: AMachine,
) -> None:
    run(rke2_machine, "rke2", **RKE2)
    release(rke2_machine, f"mirror.example/rke2/{NEWER}")
    (rke2_machine.state / "cut").write_text("0")
    for name in ("tar", "sync", "mv", "rm"):
        rke2_machine.program(name, f'{KILLABLE}\nreal {name} "$@"')
    rke2_machine.program("curl", KILLABLE + CURL)
    rke2_machine.program("systemctl", KILLABLE + RKE2_SYSTEMCTL)
    was, goes, in_place = (OLD, RKE2), (NEWER, UPGRADE), []
    for cut in range(1, 60):
        (rke2_machine.state / "runs").unlink(missing_ok=True)
        (rke2_machine.state / "cut").write_text(str(cut))
        if (code := run(rke2_machine, "rke2", **goes[1])[0]) == 0:
            break
        assert code == -9
        left = version(rke2_machine)
        assert left in (was[0], goes[0])
        in_place.append(left == goes[0])
        assert "ExecStart=" in rke2_machine.read("usr/local/lib/systemd/system/rke2-server.service")
        (rke2_machine.state / "cut").write_text("0")
        assert run(rke2_machine, "rke2", **goes[1])[1].endswith(f"RKE2 {goes[0]} server is ready")
        assert version(rke2_machine, "proc/77/exe") == version(rke2_machine) == goes[0]
        assert rke2_machine.read("usr/local/share/rke2/LICENSE.txt") == f"of {goes[0]}\n"
        assert not rke2_machine.path("usr/local/.rke2-unpacked").exists()
        assert not rke2_machine.path("var/lib/mig-k8s/rke2").exists()
        was, goes = goes, was
    assert in_place == sorted(in_place)
    assert (in_place.count(False) >= 14, True in in_place) == (True, True)
