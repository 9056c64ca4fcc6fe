"""The virtual environment of a bare host: Python is the only thing that must be there."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import virtualenv
from sandbox.debian import packages
from sandbox.error import SandboxError
from stacks import REPOSITORY


def _without_ensurepip(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find(name))


def test_the_part_of_python_that_debian_has_in_a_package_of_its_own_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []

    def run(command: list[str], *_: object) -> None:
        installed.append(" ".join(command[1:3]))
        raise SandboxError("enough")

    _without_ensurepip(monkeypatch)
    monkeypatch.setattr(packages, "install", installed.extend)
    monkeypatch.setattr(virtualenv, "_run", run)
    with pytest.raises(SandboxError, match="enough"):
        virtualenv._build(tmp_path, tmp_path)
    assert installed == [f"python3.{sys.version_info.minor}-venv", "-m venv"]


def test_who_is_not_root_is_told_that_packages_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_ensurepip(monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(SandboxError, match=rf"sudo apt-get install python3\.{sys.version_info.minor}-venv$"):
        virtualenv._build(tmp_path, tmp_path)


def _python(folder: Path, name: str, status: int) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\nexit {status}\n")
    program.chmod(0o755)


def _chosen(folder: Path) -> str:
    """What the Makefile runs where PATH has the programs of this folder first."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHON", "MAKEFLAGS", "SUDO_UID"}}
    return subprocess.run(
        ["make", "--no-print-directory", "--eval", "shown: ; @echo $(PYTHON)", "shown"],
        cwd=REPOSITORY,
        env=environment | {"PATH": f"{folder}:{environment['PATH']}"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_make_takes_python3_where_it_is_new_enough(tmp_path: Path) -> None:
    _python(tmp_path, "python3", 0)
    assert _chosen(tmp_path) == "python3"


def test_make_takes_a_newer_python_by_its_version_where_python3_is_too_old(tmp_path: Path) -> None:
    """Ubuntu 22.04: python3 is 3.10, and the package python3.11 brings python3.11."""
    for old in ("python3", "python3.14", "python3.13", "python3.12"):
        _python(tmp_path, old, 1)
    _python(tmp_path, "python3.11", 0)
    assert _chosen(tmp_path) == "python3.11"


def test_where_all_are_too_old_python3_says_so_itself(tmp_path: Path) -> None:
    for old in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        _python(tmp_path, old, 1)
    assert _chosen(tmp_path) == "python3"
