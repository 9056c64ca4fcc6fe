"""The machine's real apt installs the stand-in packages, and only what the right key has signed."""

import os
from pathlib import Path

import pytest
from administrator import Boot, Machine

from sandbox.mirror import apt_keys, apt_repositories, nvidia_packages
from sandbox.mirror.packages import Ours
from sandbox.mirror.server import Mirror
from sandbox.tools import toolchain

pytestmark = pytest.mark.sandbox

KERNEL = os.uname().release
DRIVER = f"linux-modules-nvidia-580-server-{KERNEL} nvidia-headless-no-dkms-580-server nvidia-utils-580-server"
PROGRAM = '#!/bin/sh\necho "$0 $*" | tee -a /run/calls\n'
QUICK = "-o Acquire::Retries=0"


def ours(mirror: Mirror) -> Ours:
    program = mirror.root.parent / "gpu"
    return Ours(program, program, toolchain.container_toolkit())


@pytest.fixture(scope="module")
def machine(mirror: Mirror, boot: Boot) -> Machine:
    """With an apt that has read the mirror's repositories; the GPU program only says how it was called."""
    (mirror.root.parent / "gpu").write_text(PROGRAM)
    apt_repositories.publish(mirror.root, ours(mirror))
    booted = boot(number=30)
    booted.wait_for_cloud_init()
    booted.run(f"sudo apt-get {QUICK} update")
    return booted


def use_toolkit(machine: Machine, keyring: str) -> str:
    """Point apt at the toolkit's repository with ``keyring`` as its key; what apt says."""
    address = f"http://{machine.sandbox.network}.1/toolkit"
    machine.run(f"curl -fsS {address}/gpgkey | sudo gpg --dearmor --yes -o /usr/share/keyrings/toolkit.gpg")
    line = f"deb [signed-by=/usr/share/keyrings/{keyring}] {address}/stable/deb/amd64 /"
    machine.run(f"echo '{line}' | sudo tee /etc/apt/sources.list.d/toolkit.list; sudo rm -rf /var/lib/apt/lists/*")
    return machine.run(f"sudo apt-get {QUICK} update", check=False)


def test_the_driver_is_installed_by_its_ubuntu_names(machine: Machine) -> None:
    machine.run(f"sudo apt-get install -y {DRIVER}")
    version = machine.run("dpkg-query -W -f '${Version} ${Status}' nvidia-utils-580-server")
    assert version == "580.159.04-0ubuntu0.24.04.1 install ok installed"
    assert machine.run("sudo nvidia-smi -L") == "/usr/bin/nvidia-smi -L"


def test_modprobe_loads_the_driver_and_so_does_every_boot(machine: Machine) -> None:
    machine.run(f"sudo apt-get install -y {DRIVER}")
    assert machine.run("sudo modprobe nvidia") == f"/usr/lib/nvidia/load-driver --kernel {KERNEL}"
    before = machine.boot_id()
    machine.run("sudo systemctl reboot", check=False)
    machine.wait_for_reboot(before)
    assert machine.run("cat /run/calls") == f"/usr/lib/nvidia/load-driver --kernel {KERNEL}"


def test_open_and_closed_modules_exclude_each_other(machine: Machine) -> None:
    machine.run(f"sudo apt-get install -y {DRIVER}")
    said = machine.run(
        f"sudo apt-get install -y --no-remove linux-modules-nvidia-580-server-open-{KERNEL}", check=False
    )
    assert "Packages need to be removed but remove is disabled" in said


def test_modules_of_an_older_driver_stand_beside_a_newer_userland_only_when_they_are_closed(
    machine: Machine, mirror: Mirror
) -> None:
    modules = f"linux-modules-nvidia-580-server-{KERNEL}"
    machine.run("sudo apt-get remove -y 'linux-modules-nvidia-*'")
    apt_repositories.let_modules_be_older(mirror.root / "ubuntu", ours(mirror))
    machine.run(f"sudo apt-get {QUICK} update; sudo apt-get install -y {modules} nvidia-utils-580-server")
    assert "nvidia-kernel-common-580-server (>= 580.126.09)" in machine.run(f"apt-cache show {modules}")
    said = machine.run(
        f"sudo apt-get install -y linux-modules-nvidia-580-server-open-{KERNEL} {DRIVER.split()[2]}", check=False
    )
    assert "nvidia-kernel-common-580-server (<= 580.126.09-1)" in said
    machine.run("sudo apt-get remove -y 'linux-modules-nvidia-*'")


def test_the_metapackage_brings_a_newer_kernel_into_which_the_machine_boots(machine: Machine) -> None:
    newer = nvidia_packages.next_kernel(KERNEL)
    machine.run(f"sudo apt-get install -y linux-modules-nvidia-580-server-{nvidia_packages.kernel_flavour(KERNEL)}")
    assert machine.run("uname -r") == KERNEL
    before = machine.boot_id()
    machine.run("sudo systemctl reboot", check=False)
    machine.wait_for_reboot(before)
    assert machine.run("uname -r") == newer
    assert f"--kernel {newer}" in machine.run("sudo modprobe nvidia")


def test_the_toolkit_comes_from_a_repository_with_a_key_of_its_own(machine: Machine) -> None:
    use_toolkit(machine, "toolkit.gpg")
    shown = machine.run("gpg --show-keys --with-colons /usr/share/keyrings/toolkit.gpg")
    assert f"fpr:::::::::{apt_keys.fingerprint('toolkit')}:" in shown
    assert apt_keys.fingerprint("toolkit") != apt_keys.fingerprint("ubuntu")
    machine.run("sudo apt-get install -y nvidia-container-toolkit=1.20.2-1")
    assert machine.run("dpkg-query -W -f '${Package} ${Version}\\n' '*nvidia-container*' | sort").splitlines() == [
        "libnvidia-container-tools 1.20.2-1",
        "libnvidia-container1 1.20.2-1",
        "nvidia-container-toolkit 1.20.2-1",
        "nvidia-container-toolkit-base 1.20.2-1",
    ]
    assert machine.run("nvidia-ctk --version").splitlines()[0] == "NVIDIA Container Toolkit CLI version 1.20.2"
    assert 'mode = "auto"' in machine.run("cat /etc/nvidia-container-runtime/config.toml").splitlines()


def test_a_repository_signed_by_another_key_is_refused(machine: Machine) -> None:
    said = use_toolkit(machine, "ubuntu-archive-keyring.asc")
    assert "signatures couldn't be verified" in said or "is not signed" in said  # the second is Debian 13's
    assert (
        machine.run("apt-cache policy libnvidia-container-dev nvidia-container-toolkit | grep -c toolkit/", check=False)
        == "0"
    )


def test_a_package_changed_after_signing_is_refused(machine: Machine, mirror: Mirror) -> None:
    machine.run(f"sudo rm -f /etc/apt/sources.list.d/toolkit.list; sudo apt-get {QUICK} update")
    machine.run("sudo apt-get remove -y nvidia-utils-580-server; sudo apt-get clean")
    (package,) = (mirror.root / "ubuntu/pool").glob("nvidia-utils-580-server_*.deb")
    original = package.read_bytes()
    package.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    try:
        said = machine.run(f"sudo apt-get {QUICK} install -y nvidia-utils-580-server", check=False)
    finally:
        package.write_bytes(original)
    assert "Hash Sum mismatch" in said
    assert machine.run("ls /usr/bin/nvidia-smi", check=False).endswith("No such file or directory")


def test_no_secret_key_is_in_what_the_mirror_serves(machine: Machine, mirror: Mirror) -> None:  # noqa: ARG001 - published by then
    served = [path for path in Path(mirror.root).rglob("*") if path.is_file()]
    assert mirror.root / "toolkit/gpgkey" in served
    assert not [path for path in served if b"PRIVATE KEY" in path.read_bytes()]
