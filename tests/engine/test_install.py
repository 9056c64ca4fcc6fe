"""`pulumi install` works before and after everything that `make` does to a checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from install_step import install

from sandbox import cache

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `python3 -m sandbox.virtualenv` and `pulumi install` read, in a checkout that holds no `venv` yet."""
    copy = tmp_path / "checkout"
    shutil.copytree(CHECKOUT / "sandbox", copy / "sandbox", ignore=shutil.ignore_patterns("__pycache__", "tools"))
    for name in ("Pulumi.yaml", "requirements.txt", "requirements-dev.lock"):
        shutil.copy(CHECKOUT / name, copy)
    return copy


def make(checkout: Path, *wrapper: str) -> subprocess.CompletedProcess[str]:
    """What every `make` command begins with."""
    command = [*wrapper, sys.executable, "-m", "sandbox.virtualenv"]
    done = subprocess.run(command, cwd=checkout, text=True, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip(), "bin/python").exists()
    return done


def link(checkout: Path) -> None:
    """What `make` did until November 2026."""
    (checkout / "venv").symlink_to(make(checkout).stdout.strip())


def dangling_link(checkout: Path) -> None:
    """The same, after the cache was removed or the requirements changed."""
    (checkout / "venv").symlink_to(cache.root() / "python" / "0123456789abcdef")


@pytest.mark.parametrize(
    "steps",
    [(link, make, install), (dangling_link, make, install, make, install)],
    ids=lambda steps: ", then ".join(step.__name__ for step in steps),
)
def test_pulumi_install_works_in_every_order_with_make(checkout: Path, steps: tuple) -> None:  # type: ignore[type-arg]
    for step in steps:
        step(checkout)


def test_make_leaves_nothing_called_venv_in_the_checkout(checkout: Path) -> None:
    before = sorted(path.name for path in checkout.iterdir())
    make(checkout)
    assert sorted(path.name for path in checkout.iterdir()) == before


def test_a_virtual_environment_of_the_users_is_left_alone(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (checkout / "venv").symlink_to(tmp_path / "theirs")
    make(checkout)
    assert (checkout / "venv").readlink() == tmp_path / "theirs"


def test_in_a_checkout_that_cannot_be_written_to_the_old_link_is_told_and_make_goes_on(checkout: Path) -> None:
    dangling_link(checkout)
    checkout.chmod(0o555)
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    try:
        said = make(checkout, *powerless).stderr
    finally:
        checkout.chmod(0o755)
    assert f"{checkout}/venv, a link of an earlier version, stops `pulumi install`, and it cannot be removed" in said
