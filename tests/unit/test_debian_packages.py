"""Debian packages that a host lacks are installed, in bounded time, or it is said how and why not."""

import os
from pathlib import Path

import pytest

from sandbox.debian import apt, packages
from sandbox.error import SandboxError


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of PATH, of a host on which root works."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return folder


def program(folder: Path, name: str, text: str = "true") -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_bare_host_gets_what_machines_are_made_with_gpgs_agent_too(host: Path) -> None:
    """gpg only recommends gpg-agent, and we install no recommendations: no key can be made without it."""
    assert packages.missing(packages.FOR_MACHINES) == [
        "build-essential",
        "systemd-container",
        "mmdebstrap",
        "busybox-static",
        "apt-utils",
        "gpg",
        "gpg-agent",
        "openssh-client",
        "openssl",
        "iproute2",
    ]
    program(host, "gpg")
    assert "gpg-agent" in packages.missing(packages.FOR_MACHINES)


def test_only_what_is_missing_is_installed_and_said(
    host: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(host, "gcc")
    made = f": >{host}/gpg; /bin/chmod +x {host}/gpg"
    program(host, "apt-get", f'echo "$*" >>{tmp_path}/asked; {made}')
    packages.install_missing({"gcc": "build-essential", "gpg": "gpg"})
    update, install = (tmp_path / "asked").read_text().splitlines()
    assert update.endswith(" update")
    assert install.endswith(" install --yes --no-install-recommends gpg")
    assert capsys.readouterr().err.splitlines()[0] == "· installing with apt-get: gpg"


def test_nothing_is_asked_of_apt_where_nothing_is_missing(host: Path) -> None:
    program(host, "gcc")
    packages.install_missing(packages.FOR_C)


def test_apt_waits_for_no_lock_mirror_or_name_server_without_end(host: Path) -> None:
    program(host, "apt-get", 'echo "$* $RES_OPTIONS" >&2')
    said = apt.get("update").split()
    for setting in (
        "DPkg::Lock::Timeout=120",
        "Acquire::Retries=1",
        "Acquire::http::Timeout=30",
        "Acquire::https::Timeout=30",
        "Acquire::EnableSrvRecords=false",
    ):
        assert setting in said
    assert said[-2:] == ["timeout:2", "attempts:1"]


def test_an_apt_that_hangs_all_the_same_is_ended(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "_SECONDS", {"update": 0.2})
    program(host, "apt-get", "exec /bin/sleep 60")
    with pytest.raises(SandboxError, match=r"^apt-get update did not end within 0 s$"):
        apt.get("update")


def test_what_the_update_complained_about_is_told_with_a_failed_installation(host: Path) -> None:
    lists = "echo \"Temporary failure resolving 'archive.example'\" >&2"
    program(host, "apt-get", f'case "$*" in *update) {lists};; *) echo "E: Unable to locate" >&2; exit 100;; esac')
    with pytest.raises(SandboxError) as refused:
        packages.install_missing({"gpg": "gpg"})
    assert str(refused.value) == (
        "gpg could not be installed: apt-get install failed:\nE: Unable to locate\n"
        "before it, apt-get update said:\nTemporary failure resolving 'archive.example'"
    )


def test_an_archive_that_cannot_be_reached_need_not_matter(host: Path) -> None:
    made = f": >{host}/gpg; /bin/chmod +x {host}/gpg"
    program(host, "apt-get", f'case "$*" in *update) exit 100;; *) {made};; esac')
    packages.install_missing({"gpg": "gpg"})


def test_who_is_not_root_is_told_the_command(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(host, "apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SandboxError, match=r"only root may install them: sudo apt-get install build-essential$"):
        packages.install_missing(packages.FOR_C)


@pytest.mark.usefixtures("host")
def test_a_host_without_apt_is_told_which_hosts_have_it() -> None:
    with pytest.raises(SandboxError) as refused:
        packages.install_missing(packages.FOR_C)
    assert str(refused.value) == (
        "what these packages of Debian hold is missing: build-essential. This host has no apt-get to install them with:"
        " use Debian 12 or 13, or Ubuntu 22.04 or 24.04"
    )
