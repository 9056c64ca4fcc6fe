"""A machine boots from its custom data, is reached by its pinned key, and reboots as a virtual machine does."""

import json
from pathlib import Path

import paramiko
import pytest
from administrator import Boot, KeyPair, Machine

from sandbox.error import SandboxError
from sandbox.host import image
from sandbox.host import machine as machines
from sandbox.host.machine import MachineStatus

pytestmark = pytest.mark.sandbox

PROOF = "write_files:\n- {path: /etc/proof, content: booted, permissions: '0640'}\n"


@pytest.fixture(scope="module")
def machine(boot: Boot) -> Machine:
    booted = boot(cloud_config=PROOF)
    booted.wait_for_cloud_init()
    return booted


def test_its_image_has_cloud_init_compiled_as_its_package_does_and_nothing_of_who_has_made_it(machine: Machine) -> None:
    del machine  # which was made of it
    tree = image.rootfs()
    assert [path.name for path in (tree / "root").iterdir() if path.name not in {".bashrc", ".profile", ".ssh"}] == []
    packages = tree / "usr/lib/python3/dist-packages"
    assert len(list((packages / "cloudinit/__pycache__").iterdir())) == len(list((packages / "cloudinit").glob("*.py")))


def test_cloud_init_carries_out_the_custom_data(machine: Machine) -> None:
    assert machine.run("sudo stat -c '%a %U' /etc/proof; sudo cat /etc/proof") == "640 root\nbooted"
    assert machine.run("cloud-init status") == "status: done"
    said = machine.run("sudo cloud-init schema --system")
    assert said in {"Valid cloud-config: system userdata", "Valid schema user-data"}  # Debian 12's, and newer ones


def test_the_machine_starts_without_a_failed_unit(machine: Machine) -> None:
    assert machine.run("systemctl is-system-running --wait; systemctl --failed --no-legend", check=False) == "running"


def test_the_name_of_the_machine_comes_from_its_provisioning_data(machine: Machine) -> None:
    assert machine.run("hostname; getent hosts $(hostname) | wc -l") == "mlops-k8s-master\n1"


def test_the_administrator_may_become_root_without_a_password_and_nobody_logs_in_with_one(machine: Machine) -> None:
    assert machine.run("sudo -n id -un") == "root"
    with pytest.raises(paramiko.AuthenticationException):
        paramiko.Transport((machine.spec.public_address, 22)).connect(username="azureuser", password="azureuser")


def test_another_host_key_than_the_pinned_one_is_noticed(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(paramiko.BadHostKeyException):
        machine.dial(host_key=KeyPair.make(tmp_path, "other").public)


def test_the_machine_has_both_addresses_and_no_way_out(machine: Machine) -> None:
    addresses = machine.run("ip -4 -brief address show dev eth0").split()[2:]
    assert addresses == ["10.60.0.10/24", f"{machine.spec.public_address}/24"]
    assert machine.run("ip route show default") == ""
    assert "Network is unreachable" in machine.run("bash -c 'echo >/dev/tcp/192.0.2.1/80'", check=False)


def test_what_is_plugged_in_is_found_under_hardware(machine: Machine) -> None:
    plugged = [{"index": 0, "model": "A100-80GB", "uuid": "GPU-0", "pci_bus_id": "00000001:00:00.0"}]
    assert json.loads(machine.run("cat /hardware/gpus.json")) == plugged


def test_container_images_come_from_the_mirror_whatever_registry_they_name(machine: Machine) -> None:
    expected = f"mirrors:\n  '*':\n    endpoint:\n    - http://{machine.sandbox.network}.1"
    assert machine.run("sudo cat /etc/rancher/rke2/registries.yaml") == expected


def test_the_host_has_room_for_the_watches_of_many_machines(machine: Machine) -> None:
    # All machines run as one user. Where its 128 are used up, containerd starts without its CRI, and no kubelet does.
    assert int(Path("/proc/sys/fs/inotify/max_user_instances").read_text()) >= 8192
    assert machine.run("cat /proc/sys/fs/inotify/max_user_instances") == "8192"


def test_kernel_settings_made_inside_stay_inside(machine: Machine) -> None:
    settings = {name: Path(f"/proc/sys/{name}").read_text() for name in ("vm/overcommit_memory", "kernel/panic")}
    assert (
        machine.run("for s in vm/overcommit_memory kernel/panic; do echo 77 | sudo tee /proc/sys/$s; done") == "77\n77"
    )
    assert machine.run("cat /proc/sys/vm/overcommit_memory /proc/sys/kernel/panic") == "77\n77"
    assert {name: Path(f"/proc/sys/{name}").read_text() for name in settings} == settings


def test_control_groups_are_writable_and_the_machines_own(machine: Machine) -> None:
    mine = f"made-by-{machine.spec.vm_id}"
    machine.run(f"test ! -d /sys/fs/cgroup/memory || sudo mkdir /sys/fs/cgroup/memory/{mine}")
    machine.run(f"test ! -e /sys/fs/cgroup/cgroup.controllers || sudo mkdir /sys/fs/cgroup/{mine}")
    (made,) = Path("/sys/fs/cgroup").glob(f"**/{mine}")
    assert machine.group in made.parts


def test_logins_are_refused_while_the_machine_is_about_to_go_down(machine: Machine) -> None:
    with machine.connect() as inside:
        inside.exec_command("sudo touch /run/nologin")[1].channel.recv_exit_status()
        try:
            with pytest.raises((paramiko.SSHException, EOFError)), machine.dial() as client:
                client.exec_command("true")
        finally:
            inside.exec_command("sudo rm /run/nologin")[1].channel.recv_exit_status()
    machine.dial().close()


def test_a_machine_that_runs_is_not_started_again(machine: Machine) -> None:
    with pytest.raises(SandboxError, match=r"machine mlops-k8s-master \(.*\) is running already"):
        machines.start(machine.sandbox, machine.spec)


@pytest.mark.parametrize("way", ["from inside", "from outside"])
def test_a_reboot_forgets_run_and_keeps_disk_and_address(machine: Machine, way: str) -> None:
    machine.run("sudo touch /run/gpu-state /var/lib/kept /var/lib/rancher/kept")
    before = machine.boot_id()
    if way == "from inside":
        machine.run("sudo systemctl reboot", check=False)
    else:
        machines.reboot(machine.sandbox, machine.spec.vm_id)
    machine.wait_for_reboot(before)
    assert machine.run("ls -d /run/gpu-state /var/lib/kept /var/lib/rancher/kept", check=False).splitlines()[1:] == [
        "/var/lib/kept",
        "/var/lib/rancher/kept",
    ]
    assert machine.run("ip -4 -brief address show dev eth0").split()[2] == "10.60.0.10/24"


def test_a_reboot_does_not_carry_out_the_custom_data_again(machine: Machine) -> None:
    machine.run("sudo rm -f /etc/proof")
    before = machine.boot_id()
    machines.reboot(machine.sandbox, machine.spec.vm_id)
    machine.wait_for_reboot(before)
    machine.wait_for_cloud_init()
    assert machine.run("ls /etc/proof", check=False) == "ls: cannot access '/etc/proof': No such file or directory"


def test_a_machine_that_powers_off_stays_off_and_boots_again_from_its_own_disk(machine: Machine) -> None:
    machine.run("sudo touch /var/lib/of-this-disk; sudo systemctl poweroff", check=False)
    machine.wait_until_off()
    machines.start(machine.sandbox, machine.spec)
    assert machines.status(machine.sandbox, machine.spec.vm_id) is MachineStatus.RUNNING
    assert machine.run("ls /var/lib/of-this-disk") == "/var/lib/of-this-disk"
