"""What the real apt makes of the stand-in /ubuntu, and the driver's choice of what apt says; no machine is booted."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.mirror import apt_keys, apt_repositories, nvidia_packages
from sandbox.mirror.packages import Ours
from sandbox.tools import toolchain

pytestmark = pytest.mark.sandbox

KERNEL = os.uname().release
NEWER = nvidia_packages.next_kernel(KERNEL)
LIBRARY = Path(__file__).resolve().parents[2] / "cloud-init/library"
Shell = Callable[[str], str]


@pytest.fixture
def apt(tmp_path: Path) -> Shell:
    """Runs a command with an apt of its own, whose only source has modules of an older driver for this kernel."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    ours = Ours(program, program, toolchain.container_toolkit())
    (tmp_path / "mirror").mkdir()
    apt_repositories.publish(tmp_path / "mirror", ours)
    apt_repositories.let_modules_be_older(tmp_path / "mirror/ubuntu", ours)
    for folder in ("lists/partial", "cache/archives/partial", "parts"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "status").touch()
    (tmp_path / "key.gpg").write_bytes(apt_keys.public("ubuntu"))
    sources = apt_repositories.ubuntu_sources(f"file:{tmp_path}/mirror", f"{tmp_path}/key.gpg")
    (tmp_path / "sources.list").write_text(sources)
    places = {"State": "", "State::status": "status", "State::lists": "lists", "Cache": "cache"}
    places |= {"Etc::sourcelist": "sources.list", "Etc::sourceparts": "parts", "Etc::parts": "parts"}
    lines = [f'Dir::{name} "{tmp_path}/{place}";' for name, place in places.items()]
    (tmp_path / "apt.conf").write_text("\n".join([*lines, 'APT::Sandbox::User "root";']) + "\n")
    environment = {**os.environ, "APT_CONFIG": str(tmp_path / "apt.conf"), "LC_ALL": "C"}

    def run(command: str) -> str:
        shell = ["bash", "-c", f"exec 2>&1; {command}"]
        return subprocess.run(shell, env=environment, stdout=subprocess.PIPE, text=True, timeout=60, check=False).stdout

    assert "E:" not in run("apt-get update")
    return run


def installed(said: str) -> set[str]:
    return {line.split()[1] for line in said.splitlines() if line.startswith("Inst ")}


def test_apt_installs_closed_modules_of_an_older_driver_beside_the_newer_userland(apt: Shell) -> None:
    modules = f"linux-modules-nvidia-580-server-{KERNEL}"
    assert {modules, "nvidia-utils-580-server"} <= installed(
        apt(f"apt-get -s install {modules} nvidia-utils-580-server")
    )


def test_apt_refuses_open_modules_of_an_older_driver(apt: Shell) -> None:
    open_modules = f"linux-modules-nvidia-580-server-open-{KERNEL} nvidia-headless-no-dkms-580-server-open"
    said = apt(f"apt-get -s install {open_modules}")
    assert "Depends: nvidia-kernel-common-580-server (<= 580.126.09-1) but 580.159.04-0ubuntu0.24.04.1 is" in said


@pytest.mark.parametrize("flavour", ["580-server", "580-server-open"])
def test_the_stage_chooses_the_metapackage_which_brings_the_newer_kernel(apt: Shell, flavour: str) -> None:
    sources = "".join(f"source {LIBRARY}/{name}.sh; " for name in ("stage", "packages", "driver-packages"))
    modules, kernel = apt(
        f'{sources}choose_modules 580 {flavour} {KERNEL} 580.159.04; echo "$modules $next_kernel"'
    ).split()
    assert (modules, kernel) == (
        f"linux-modules-nvidia-{flavour}-{nvidia_packages.kernel_flavour(KERNEL)}",
        NEWER,
    )
    brought = installed(apt(f"apt-get -s install {modules} nvidia-headless-no-dkms-{flavour} nvidia-utils-580-server"))
    assert {f"linux-image-{NEWER}", f"linux-modules-nvidia-{flavour}-{NEWER}"} <= brought
    assert f"linux-modules-nvidia-{flavour}-{KERNEL}" not in brought
