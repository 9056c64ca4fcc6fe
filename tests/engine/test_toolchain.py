"""Which programs are taken, and what is said when they cannot be built."""

from pathlib import Path

import pytest

from sandbox.error import SandboxError
from sandbox.tools import go, toolchain


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MIG_K8S_BUILD_PULUMI", raising=False)
    go.go_version.cache_clear()
    return folder


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_pulumi_on_path_is_taken(empty_path: Path) -> None:
    theirs = program(empty_path, "pulumi", "true")
    assert toolchain.pulumi() == theirs


def test_without_go_one_line_says_what_to_do(empty_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(empty_path, "pulumi", "true")
    monkeypatch.setenv("MIG_K8S_BUILD_PULUMI", "1")
    with pytest.raises(SandboxError) as refused:
        toolchain.pulumi()
    assert str(refused.value) == (
        "Go is not on PATH, and the sandbox's programs are built from source: "
        "install Go 1.25 or newer (go.dev/dl) and put it on PATH"
    )


def test_a_go_that_cannot_fetch_a_newer_one_is_refused(empty_path: Path) -> None:
    program(empty_path, "go", "echo go version go1.19.8 linux/amd64")
    with pytest.raises(SandboxError, match=r"^go1\.19\.8 on PATH is too old: install Go 1\.25 or newer"):
        toolchain.pulumi()
