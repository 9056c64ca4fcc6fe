"""Time, disk and memory are said before anything is built, and too little of them is a reason to begin nothing."""

from pathlib import Path

import pytest

from sandbox import lifecycle
from sandbox.debian import packages
from sandbox.error import SandboxError
from sandbox.host import room


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, on a host with 40 GB of disk and 8 GB of memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(room, "_free_disk", lambda _=None: 40)
    monkeypatch.setattr(room, "_free_memory", lambda: 8)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    return tmp_path / "mig-k8s"


def built(cache: Path) -> None:
    (cache / "kubernetes/0123456789abcdef").mkdir(parents=True)


def test_the_first_run_says_what_it_takes_and_what_there_is(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cache / "kubernetes").mkdir(parents=True)
    (cache / "kubernetes/.0123456789abcdef.lock").touch()
    room.announce()
    assert capsys.readouterr().err == (
        "· the first run builds Pulumi, Kubernetes, containerd and Helm from their sources: about 15 min on two cores"
        f" (here 4), 12 GB of disk (here 40 GB are free at {cache}), 5 GB of memory (here 8 GB are free)\n"
    )


def test_a_later_run_says_nothing_of_it(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built(cache)
    room.announce()
    assert capsys.readouterr().err == ""


def test_too_little_disk_is_an_obstacle_with_a_way_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_free_disk", lambda _=None: 11)
    assert room.obstacle() == (
        f"11 GB of disk are free at {cache}, and 12 GB are needed: make room, or set XDG_CACHE_HOME and XDG_STATE_HOME"
        " to a larger disk"
    )
    built(cache)
    assert room.obstacle() is None


def test_too_little_memory_is_an_obstacle(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_free_memory", lambda: 4)
    assert room.obstacle() == "4 GB of memory are free, and 5 GB are needed: end other programs"
    built(cache)
    assert room.obstacle() is None


def test_what_is_free_is_asked_of_the_host(tmp_path: Path) -> None:
    assert room._free_disk(tmp_path / "not/yet/there") == room._free_disk(tmp_path)
    assert 0 <= room._free_memory() < 100_000


def test_a_host_that_cannot_do_it_is_told_why_and_what_still_works(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built(cache)
    monkeypatch.setattr("os.geteuid", lambda: 0)

    def no_apt(_: object) -> None:
        raise SandboxError("This host has no apt-get")

    monkeypatch.setattr(packages, "install_missing", no_apt)
    told = (
        "no machine can boot on this one: This host has no apt-get. `make preview`, `make check` and `python -m plan`"
        " work here all the same"
    )
    with pytest.raises(SandboxError) as refused:
        lifecycle.up("default", cache / "Pulumi.dev.yaml")
    assert str(refused.value) == told
    assert lifecycle.build("machines") == 3
    assert capsys.readouterr().err == f"· {told}\n"
