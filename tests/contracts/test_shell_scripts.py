"""Shell scripts are strict, executable and clean."""

import subprocess
from pathlib import Path

import pytest

from stacks import REPOSITORY

FOLDERS = ("cloud-init", "scripts", ".ci", ".github", "sandbox")


def scripts() -> list[Path]:
    """Every file of the repository's own that starts as a shell script."""
    files = (path for folder in FOLDERS for path in sorted((REPOSITORY / folder).rglob("*")) if path.is_file())
    return [path for path in files if _first_line(path).startswith("#!") and _first_line(path).endswith("sh")]


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(200).decode(errors="replace").strip()


def _name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def _is_ours_to_stop(path: Path) -> bool:
    """Not RKE2's own scripts as the sandbox has them: they clear away as much as they can, whatever fails. Nor an entry
    point, which is one command."""
    return not _name(path).startswith(("sandbox/rke2/", "cloud-init/entry-points/"))


def test_the_stages_of_the_converge_path_are_among_them() -> None:
    found = {_name(path) for path in scripts()}
    assert {
        f"cloud-init/stages/{name}"
        for name in ("apt", "driver", "fabric-manager", "toolkit", "mig-mode", "rke2-download", "rke2")
    } <= found


@pytest.mark.parametrize("path", [path for path in scripts() if _is_ours_to_stop(path)], ids=_name)
def test_a_script_stops_at_the_first_error(path: Path) -> None:
    strict = "set -euo pipefail" if _first_line(path).endswith("bash") else "set -eu"
    assert strict in path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", scripts(), ids=_name)
def test_a_script_can_be_run(path: Path) -> None:
    assert path.stat().st_mode & 0o111, f"chmod +x {_name(path)}"


def test_shellcheck_looks_at_every_script_at_its_strictest() -> None:
    """In `make lint`, which is the other half of `make check`. Without a severity it says everything."""
    said = subprocess.run(
        ["make", "--dry-run", "lint"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    (line,) = [line for line in said.stdout.splitlines() if "shellcheck" in line]
    _, _, arguments = line.partition('/shellcheck" ')
    assert sorted(arguments.split()) == ["--external-sources", *sorted(_name(path) for path in scripts())]


@pytest.mark.parametrize(("name", "words"), [("mig-k8s", ""), ("mig-apply", " apply"), ("mig-verify", " verify")])
def test_an_entry_point_runs_what_is_current_once_it_knows_its_folder(name: str, words: str) -> None:
    """The link may name another release a moment later; a process must not load modules of both."""
    path = REPOSITORY / "cloud-init/entry-points" / name
    command = f'exec /usr/bin/python3 -I -B "$(readlink -f /usr/local/lib/mig-k8s/current)"{words} "$@"'
    assert path.read_text(encoding="utf-8").splitlines() == ["#!/bin/sh", command]
