"""RKE2's install script with a tarball of three files: variables, checksum, where things go. No root, no machine."""

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "sandbox/rke2/install.sh"


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    folder = tmp_path / "artifacts"
    folder.mkdir()
    unit = b"[Service]\nExecStart=/usr/local/bin/rke2 server\n"
    with tarfile.open(folder / "rke2.linux-amd64.tar.gz", "w:gz") as tar:
        for name, content in {
            "bin/rke2": b"#!/bin/sh\necho rke2\n",
            "lib/systemd/system/rke2-server.service": unit,
            "lib/systemd/system/rke2-agent.service": unit,
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    checksum = hashlib.sha256((folder / "rke2.linux-amd64.tar.gz").read_bytes()).hexdigest()
    (folder / "sha256sum-amd64.txt").write_text(f"{'0' * 64}  rke2-images.tar\n{checksum}  rke2.linux-amd64.tar.gz\n")
    return folder


def install(prefix: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "INSTALL_RKE2_TAR_PREFIX": str(prefix),
        "INSTALL_RKE2_SKIP_RELOAD": "true",
    }
    environment |= {f"INSTALL_RKE2_{name}": str(value) for name, value in variables.items()}
    command = ["sh", str(SCRIPT)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_the_tarball_of_the_artifact_path_is_unpacked_below_the_prefix(tmp_path: Path, artifacts: Path) -> None:
    done = install(tmp_path / "prefix", ARTIFACT_PATH=artifacts)

    assert done.returncode == 0, done.stderr
    assert os.access(tmp_path / "prefix/bin/rke2", os.X_OK)
    unit = (tmp_path / "prefix/lib/systemd/system/rke2-server.service").read_text()
    assert f"ExecStart={tmp_path}/prefix/bin/rke2 server" in unit


def test_a_tarball_that_does_not_match_its_checksum_is_not_unpacked(tmp_path: Path, artifacts: Path) -> None:
    with (artifacts / "rke2.linux-amd64.tar.gz").open("ab") as tarball:
        tarball.write(b"tampered")

    done = install(tmp_path / "prefix", ARTIFACT_PATH=artifacts)

    assert done.returncode == 1
    assert "rke2.linux-amd64.tar.gz does not match its checksum: expected " in done.stderr
    assert not (tmp_path / "prefix/bin").exists()


def test_a_checksum_file_that_does_not_name_the_tarball_is_refused(tmp_path: Path, artifacts: Path) -> None:
    (artifacts / "sha256sum-amd64.txt").write_text(f"{'0' * 64}  rke2-images.tar\n")

    done = install(tmp_path / "prefix", ARTIFACT_PATH=artifacts)

    assert (done.returncode, done.stderr) == (1, "[ERROR]  sha256sum-amd64.txt does not name rke2.linux-amd64.tar.gz\n")


def test_an_artifact_path_without_a_tarball_is_named(tmp_path: Path) -> None:
    done = install(tmp_path / "prefix", ARTIFACT_PATH=tmp_path)

    assert done.returncode == 1
    assert f"no rke2.linux-amd64.tar.gz in INSTALL_RKE2_ARTIFACT_PATH={tmp_path}" in done.stderr


def test_a_version_and_a_place_are_enough_to_download_it(tmp_path: Path, artifacts: Path) -> None:
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases/v1.35.7+rke2r1").symlink_to(artifacts)

    done = install(tmp_path / "prefix", VERSION="v1.35.7+rke2r1", ARTIFACT_URL=f"file://{tmp_path}/releases")

    assert done.returncode == 0, done.stderr
    assert f"downloading file://{tmp_path}/releases/v1.35.7%2Brke2r1/rke2.linux-amd64.tar.gz" in done.stdout
    assert (tmp_path / "prefix/bin/rke2").exists()


def test_without_a_version_the_stable_channel_decides(tmp_path: Path, artifacts: Path) -> None:
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases/v1.34.10+rke2r1").symlink_to(artifacts)
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels/stable").write_text("v1.34.10+rke2r1\n")

    done = install(
        tmp_path / "prefix", ARTIFACT_URL=f"file://{tmp_path}/releases", CHANNEL_URL=f"file://{tmp_path}/channels"
    )

    assert done.returncode == 0, done.stderr
    assert "using v1.34.10+rke2r1 as release" in done.stdout


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"TYPE": "master"}, "INSTALL_RKE2_TYPE=master: expected server or agent"),
        ({"METHOD": "rpm"}, "INSTALL_RKE2_METHOD=rpm: only tar is stood in for"),
        ({"COMMIT": "abc"}, "INSTALL_RKE2_COMMIT is not stood in for: use INSTALL_RKE2_VERSION"),
    ],
)
def test_what_the_script_cannot_do_it_says(tmp_path: Path, variables: dict[str, str], words: str) -> None:
    done = install(tmp_path / "prefix", **variables)

    assert (done.returncode, done.stderr) == (1, f"[ERROR]  {words}\n")
