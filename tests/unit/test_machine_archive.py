"""The machines' image is the host's own release, from the archive that its apt uses."""

import platform
from pathlib import Path

import pytest

from sandbox.debian.archive import Archive
from sandbox.error import SandboxError

DEBIAN_12 = """\
deb http://deb.example/debian/ bookworm main
deb http://deb.example/debian/ bookworm-updates main
deb http://deb.example/debian/ bookworm-backports main
deb http://deb.example/debian-security/ bookworm-security main
deb http://deb.example/debian/ bookworm main
"""
UBUNTU = """\
deb http://ubuntu.example/ubuntu/ noble main
deb http://ubuntu.example/ubuntu/ noble universe
deb http://ubuntu.example/ubuntu/ noble-backports main
deb http://ubuntu.example/ubuntu/ noble-security main
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the lists that apt has of the archive it is asked for; `update` puts there what is in `fetched`."""
    lists = tmp_path / "lists"
    program = tmp_path / "apt-get"
    program.write_text(
        f"""#!/bin/sh
echo "$*" >"{tmp_path}/asked"
case " $* " in
*" update "*) /bin/cp "{tmp_path}/fetched" "{lists}" ;;
*) /bin/cat "{lists}" ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return lists


@pytest.mark.parametrize(
    ("host", "archive"),
    [
        ({"ID": "debian", "VERSION_CODENAME": "bookworm"}, Archive("Debian", "bookworm")),
        ({"ID": "debian", "VERSION_CODENAME": "trixie"}, Archive("Debian", "trixie")),
        ({"ID": "ubuntu", "VERSION_CODENAME": "jammy"}, Archive("Ubuntu", "jammy")),
        ({"ID": "ubuntu", "VERSION_CODENAME": "noble"}, Archive("Ubuntu", "noble")),
    ],
    ids=lambda value: value["VERSION_CODENAME"] if isinstance(value, dict) else "",
)
def test_machines_are_of_the_hosts_own_release(
    host: dict[str, str], archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: host)
    assert Archive.of_the_host() == archive


def test_debian_12_takes_its_own_sources_without_backports_each_once(apt: Path, tmp_path: Path) -> None:
    apt.write_text(DEBIAN_12)
    assert Archive("Debian", "bookworm").sources().splitlines() == [
        "deb http://deb.example/debian-security/ bookworm-security main",
        "deb http://deb.example/debian/ bookworm main",
        "deb http://deb.example/debian/ bookworm-updates main",
    ]
    assert (tmp_path / "asked").read_text().rstrip().endswith("Created-By: Packages Origin: Debian")


def test_an_ubuntu_takes_all_components_that_the_host_has(apt: Path) -> None:
    apt.write_text(UBUNTU)
    assert Archive("Ubuntu", "noble").sources().splitlines() == [
        "deb http://ubuntu.example/ubuntu/ noble main",
        "deb http://ubuntu.example/ubuntu/ noble universe",
        "deb http://ubuntu.example/ubuntu/ noble-security main",
    ]


def test_a_host_whose_lists_were_removed_gets_them(apt: Path, tmp_path: Path) -> None:
    apt.write_text("")
    (tmp_path / "fetched").write_text(DEBIAN_12)
    assert Archive("Debian", "bookworm").sources().splitlines()[1] == "deb http://deb.example/debian/ bookworm main"


def test_a_host_with_the_lists_of_another_release_alone_is_told_what_can_be_a_host(apt: Path, tmp_path: Path) -> None:
    apt.write_text("deb http://deb.example/debian/ trixie-backports main\n")
    (tmp_path / "fetched").write_text("deb http://deb.example/debian/ sid main\n")
    with pytest.raises(SandboxError) as refused:
        Archive("Debian", "trixie").sources()
    assert str(refused.value) == (
        "this host's apt has no list of Debian trixie, of which machines are made, nor after `apt-get update`;"
        " hosts are Debian 12 and 13, Ubuntu 22.04 and 24.04"
    )


def test_a_host_that_cannot_fetch_lists_is_told_what_apt_said(apt: Path) -> None:
    apt.write_text("")
    with pytest.raises(SandboxError) as refused:
        Archive("Debian", "trixie").sources()
    assert "hosts are Debian 12 and 13, Ubuntu 22.04 and 24.04. apt-get update failed:\n" in str(refused.value)
    assert "cannot stat" in str(refused.value)
