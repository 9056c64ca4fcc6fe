"""Where no machine can boot, one line says why; a sandbox that is not one is refused."""

import errno
import os
import platform
from pathlib import Path

import pytest

from sandbox.error import SandboxError
from sandbox.host import kernel_limits, machine
from sandbox.instance import Sandbox


def test_without_root_the_obstacle_is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert machine.obstacle() == "not root: namespaces and mounts need it. Use sudo"


def test_a_host_of_another_architecture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert machine.obstacle() == "the machines are amd64, and this host is aarch64"


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.obstacle() == "systemd-nspawn is not installed (Debian package systemd-container)"


def test_refused_namespaces_are_told_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    for program in ("systemd-nspawn", "mmdebstrap", "ip"):
        (tmp_path / program).touch(mode=0o755)
    (tmp_path / "unshare").write_text(
        "#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n"
    )
    (tmp_path / "unshare").chmod(0o755)
    seen = machine.obstacle(tmp_path)
    assert seen == "namespaces or overlay mounts are refused: unshare: unshare failed: Operation not permitted"
    assert not list(tmp_path.glob("mig-k8s-probe-*"))


def test_limits_of_the_kernel_that_machines_share_are_raised_and_never_lowered(tmp_path: Path) -> None:
    (tmp_path / "max_user_instances").write_text("128\n")
    (tmp_path / "max_user_watches").write_text("1000000\n")
    kernel_limits.raise_inotify(tmp_path)
    assert (tmp_path / "max_user_instances").read_text() == "8192\n"
    assert (tmp_path / "max_user_watches").read_text() == "1000000\n"


def test_a_limit_that_cannot_be_raised_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "max_user_instances").write_text("128\n")
    (tmp_path / "max_user_watches").write_text("1000000\n")

    def read_only(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", read_only)
    kernel_limits.raise_inotify(tmp_path)
    assert (
        "fs.inotify.max_user_instances stays at 128, too few for many machines: Read-only file system"
        in capsys.readouterr().err
    )


def test_a_sandbox_is_the_same_after_being_kept(tmp_path: Path) -> None:
    kept = Sandbox(name="dev", root=tmp_path / "root", network="10.99.7")
    kept.save()
    assert Sandbox.load(tmp_path / "root") == kept
    assert (tmp_path / "root").stat().st_mode & 0o777 == 0o700


def test_a_directory_without_a_sandbox_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"instance\.json is missing; `(sudo )?make sandbox` makes one"):
        Sandbox.load(tmp_path)


@pytest.mark.parametrize("name", ["", "Dev", "-dev", "dev-", "a" * 23, "../dev"])
def test_a_name_that_cannot_name_a_namespace_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SandboxError, match="sandbox name"):
        Sandbox(name=name, root=tmp_path, network="10.99.0")


@pytest.mark.parametrize("network", ["192.168.0", "10.99", "10.99.256", "10.99.0.0"])
def test_a_network_outside_the_reserved_range_is_refused(tmp_path: Path, network: str) -> None:
    with pytest.raises(SandboxError, match="sandbox network"):
        Sandbox(name="dev", root=tmp_path, network=network)


@pytest.mark.parametrize("vm_id", ["..", "a/b", ""])
def test_a_machine_id_that_leads_out_of_the_sandbox_is_refused(tmp_path: Path, vm_id: str) -> None:
    with pytest.raises(SandboxError, match="machine id"):
        Sandbox(name="dev", root=tmp_path, network="10.99.0").machine_directory(vm_id)
