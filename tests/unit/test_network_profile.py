"""Network profiles: how one is put on a sandbox, and that all that the mirror serves has a real size."""

import json
import os
import sys
from pathlib import Path

import pytest

from sandbox import distance, lifecycle
from sandbox.__main__ import main
from sandbox.distance import Certainty, Profile
from sandbox.gpu_operator import release
from sandbox.mirror import nvidia_packages, registry
from sandbox.rke2 import artifact
from sandbox.rke2.node import images as node_images


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's sandboxes lie."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "mig-k8s"


def network(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sandbox", "--name", "far", "network", *words])
    return main()


def test_a_sandbox_is_near_until_a_profile_is_put_on_it(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert network(monkeypatch) == 0
    assert capsys.readouterr().out == "sandbox far has the network profile none: everything at once\n"
    assert not state.exists()


def test_a_profile_is_put_on_a_sandbox_before_it_is_made_and_taken_off_again(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert network(monkeypatch, "--profile", "azure") == 0
    assert network(monkeypatch) == 0
    said = (
        "sandbox far has the network profile azure: 25 MB/s for each connection, answers after 0.05 s, a machine after"
        " 60 s, 50 s more for a reboot\n"
    )
    assert capsys.readouterr().out == 2 * said
    assert distance.of(state / "far") == distance.AZURE
    assert network(monkeypatch, "--profile", "none") == 0
    assert distance.of(state / "far") == distance.NONE
    assert not (state / "far/distance.json").exists()


def test_an_unknown_profile_is_refused_and_makes_no_sandbox(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        network(monkeypatch, "--profile", "moon")
    assert "choose from" in capsys.readouterr().err
    assert not state.exists()


def test_up_puts_a_profile_on_its_sandbox_before_anything_else_and_keeps_the_one_it_has(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Profile] = []
    monkeypatch.setattr(lifecycle, "up", lambda name, *_, **__: seen.append(distance.of(state / name)) or 0)
    for words in ([], ["--profile", "azure"], [], ["--profile", "none"]):
        monkeypatch.setattr(sys, "argv", ["sandbox", "--name", "far", "up", *words])
        assert main() == 0
    assert [profile.name for profile in seen] == ["none", "azure", "azure", "none"]


def test_what_is_read_is_what_was_put(tmp_path: Path) -> None:
    mine = Profile(name="mine", rate=1e6, latency=0.5, machine=2, reboot=3)
    distance.put(tmp_path, mine)
    assert distance.of(tmp_path) == mine
    assert json.loads((tmp_path / "distance.json").read_text())["rate"] == 1e6


def test_rke2s_tarball_takes_1_6_seconds_under_azure() -> None:
    size = distance.real_size("/rke2/v1.36.4+rke2r1/rke2.linux-amd64.tar.gz", 88_000_000)
    assert (size, distance.AZURE.seconds(size)) == (40_000_000, 1.6)


def test_nothing_takes_a_minute_under_azure() -> None:
    """curl ends a download of less than 1 KiB/s for a minute. It sees the stored bytes, which may be few."""
    assert max(distance.AZURE.seconds(row.size) for row in distance.REAL) < 60


@pytest.mark.parametrize("kernel", ["6.8.0-1064-azure", "6.1.0-56-cloud-amd64", "6.18.44"])
def test_every_package_of_the_mirror_has_a_real_size(kernel: str) -> None:
    ubuntu = nvidia_packages.driver_packages(kernel) + nvidia_packages.module_packages(
        kernel, nvidia_packages.OLDER_DRIVER_VERSION
    )
    toolkit = [one for version in nvidia_packages.TOOLKIT_VERSIONS for one in nvidia_packages.toolkit_packages(version)]
    files = [f"/ubuntu/pool/{one.name}_{one.version}_amd64.deb" for one in ubuntu]
    files += [f"/toolkit/stable/deb/amd64/{one.name}_{one.version}_amd64.deb" for one in toolkit]
    assert [file for file in files if distance.real(file) is None] == []


@pytest.mark.parametrize(
    ("package", "size"),
    [
        ("linux-modules-nvidia-580-server-6.8.0-1064-azure_6.8.0-1064-azure.1+1", 97_900_000),
        ("linux-modules-nvidia-580-server-open-6.8.0-1064-azure_6.8.0-1064-azure.1+1", 20_000_000),
        ("linux-modules-nvidia-580-server-azure_7.0.0-1020-azure.1+1", 6_700),
        ("linux-modules-nvidia-580-server-open-azure_7.0.0-1020-azure.1+1", 6_700),
        ("nvidia-headless-no-dkms-580-server_580.159.04-0ubuntu0.24.04.1", 31_600_000),
        ("nvidia-headless-no-dkms-580-server-open_580.159.04-0ubuntu0.24.04.1", 8_700_000),
    ],
)
def test_closed_modules_open_ones_and_metapackages_are_told_apart(package: str, size: int) -> None:
    assert distance.real_size(f"/ubuntu/pool/{package}_amd64.deb", 1) == size


def test_only_another_kernel_than_the_one_that_runs_has_to_be_fetched() -> None:
    """A real machine was made with its own."""
    kernel = os.uname().release
    newer = nvidia_packages.next_kernel(kernel)
    sizes = [distance.real_size(f"/ubuntu/pool/linux-image-{one}_{one}.1_amd64.deb", 1) for one in (kernel, newer)]
    assert sizes == [0, 53_800_000]


def test_every_image_of_the_mirror_has_a_real_size() -> None:
    images = [*release.IMAGES, *release.OLDER_IMAGES, registry.CUDA_SAMPLE, artifact.PAUSE_IMAGE]
    names = [":".join(registry.name_of(image)) for image in images] + node_images.of("v1.36.4+rke2r1")
    assert [name for name in names if distance.real(name) is None] == []


def test_what_is_not_in_the_table_has_the_bytes_that_are_stored() -> None:
    assert distance.real_size("/notes.txt", 17) == 17


def test_every_size_says_where_it_is_from_and_what_nobody_measured_is_an_estimate() -> None:
    assert {row.pattern for row in distance.REAL if not row.source} == set()
    guessed = {row.pattern for row in distance.REAL if row.source.startswith("unknown")}
    assert guessed
    assert {row.certainty for row in distance.REAL if row.pattern in guessed} == {Certainty.ESTIMATE}
