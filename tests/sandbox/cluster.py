"""A machine with RKE2 and, if asked for, a GPU, as a person with kubectl and helm sees it."""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from administrator import Machine

from sandbox.tools import toolchain

NODE = "mlops-k8s-master"
_KERNEL = os.uname().release
_DRIVER = f"linux-modules-nvidia-580-server-{_KERNEL} nvidia-headless-no-dkms-580-server nvidia-utils-580-server"
_APT = "sudo DEBIAN_FRONTEND=noninteractive apt-get -qq"
HOST_OWNED = ("driver.enabled=false", "toolkit.enabled=false", "migManager.enabled=false")


@dataclass(frozen=True)
class Cluster:
    machine: Machine
    kubeconfig: Path

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """Output and errors, in the order they came."""
        return self._program(toolchain.kubectl(), *arguments, stdin=stdin, check=check)

    def helm(self, *arguments: str, check: bool = True) -> str:
        return self._program(toolchain.helm(), *arguments, check=check)

    def install_gpu_operator(self, *settings: str, check: bool = True) -> str:
        """Install or change the release `gpu-operator`; returns when its Deployment is ready."""
        repository = f"http://{self.machine.sandbox.mirror_address}/charts"
        where = ("gpu-operator", "--repo", repository, "--version", "v26.7.0", "-n", "gpu-operator")
        values = [word for setting in (*HOST_OWNED, *settings) for word in ("--set", setting)]
        flags = ("--install", "--create-namespace", "--wait", "--timeout", "90s")
        return self.helm("upgrade", "gpu-operator", *where, *flags, *values, check=check)

    def get(self, *arguments: str) -> Any:  # noqa: ANN401 - what JSON holds
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def node(self) -> dict[str, Any]:
        found = self.get("node", NODE)
        assert isinstance(found, dict)
        return found

    def gpu_resources(self) -> dict[str, str]:
        """What of NVIDIA's is allocatable. 0 is as good as absent: the kubelet keeps a resource it once had."""
        allocatable = self.node()["status"]["allocatable"]
        return {name: count for name, count in allocatable.items() if name.startswith("nvidia.com/") and count != "0"}

    def labels(self) -> dict[str, str]:
        return dict(self.node()["metadata"]["labels"])

    def events(self, name: str) -> str:
        return self.kubectl("get", "events", "--field-selector", f"involvedObject.name={name}", "-A")

    def _program(self, program: Path, *arguments: str, stdin: str = "", check: bool = True) -> str:
        home = str(self.kubeconfig.parent)
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": home}
        environment |= dict.fromkeys(("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"), home)
        done = subprocess.run(
            [str(program), *arguments],
            input=stdin,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, f"{program.name} {' '.join(arguments)}:\n{done.stdout}"
        return done.stdout.strip()


def eventually(what: str, seen: Callable[[], object], wanted: object = True, seconds: float = 60) -> None:
    """Wait until `seen()` equals `wanted`."""
    deadline = time.monotonic() + seconds
    while (last := seen()) != wanted:
        assert time.monotonic() < deadline, f"{what}: waited {seconds:.0f} s for {wanted!r}, last seen {last!r}"
        time.sleep(0.2)


def install_rke2(machine: Machine, folder: Path, **more: object) -> Cluster:
    """RKE2 from the mirror, started; `more` are keys of config.yaml with _ for -."""
    server = {"cni": "calico", "tls_san": [NODE, machine.spec.public_address], "write_kubeconfig_mode": "0600"}
    unpack_rke2(machine, **{"node_name": NODE, **server, **more})
    machine.run("sudo timeout 55 systemctl enable --now rke2-server || (sudo journalctl -u 'rke2-*' | tail -20; false)")
    return cluster_of(machine, folder)


def unpack_rke2(machine: Machine, **config: object) -> None:
    """RKE2 from the mirror, not started; its config.yaml has `config`, with _ for -, and this machine's address."""
    content = {key.replace("_", "-"): value for key, value in config.items()}
    content["node-ip"] = machine.spec.private_address.split("/")[0]
    written = "sudo install -m 600 /dev/stdin /etc/rancher/rke2/config.yaml"
    machine.run(f"echo {shlex.quote(yaml.safe_dump(content))} | {written}")
    unpack_release(machine, "v1.36.4+rke2r1")


def unpack_release(machine: Machine, version: str) -> None:
    """This release of RKE2 from the mirror, over one that may be there, as docs/operations.md does it by hand."""
    release = f"http://{machine.sandbox.mirror_address}/rke2/{version}"
    machine.run(f"curl -sSfLO {release}/rke2.linux-amd64.tar.gz -O {release}/sha256sum-amd64.txt")
    machine.run("grep ' rke2.linux-amd64.tar.gz$' sha256sum-amd64.txt | sha256sum --check --strict")
    machine.run("sudo tar -xzf rke2.linux-amd64.tar.gz -C /usr/local --no-same-owner && sudo systemctl daemon-reload")


def cluster_of(machine: Machine, folder: Path) -> Cluster:
    """With the kubeconfig of a server that runs."""
    kubeconfig = folder / f"kubeconfig-{machine.spec.public_address}"
    content = machine.run("sudo cat /etc/rancher/rke2/rke2.yaml")
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(content.replace("127.0.0.1", machine.spec.public_address))
    return Cluster(machine, kubeconfig)


def install_driver(machine: Machine) -> None:
    """NVIDIA's driver from /ubuntu, loaded."""
    machine.run(f"{_APT} update && {_APT} install -y {_DRIVER}")
    machine.run("sudo modprobe nvidia")


def install_toolkit(machine: Machine) -> None:
    address = f"http://{machine.sandbox.mirror_address}/toolkit"
    machine.run(f"curl -fsS {address}/gpgkey | sudo gpg --dearmor --yes -o /usr/share/keyrings/toolkit.gpg")
    line = f"deb [signed-by=/usr/share/keyrings/toolkit.gpg] {address}/stable/deb/amd64 /"
    machine.run(f"echo '{line}' | sudo tee /etc/apt/sources.list.d/toolkit.list")
    machine.run(f"{_APT} update && {_APT} install -y nvidia-container-toolkit")


def enable_mig(machine: Machine) -> None:
    """MIG mode on, with the reboot an A100 needs for it."""
    boot_id = machine.boot_id()
    machine.run("sudo nvidia-smi -mig 1")
    machine.run("sudo systemctl reboot", check=False)
    machine.wait_for_reboot(boot_id)
    machine.run("sudo modprobe nvidia")


def set_layout(machine: Machine, profiles: str) -> None:
    """Exactly these GPU instances, by nvidia-smi's profile ids: "9,14,19"; "" for none."""
    # A container that is just ending still holds its device: until then nvidia-smi refuses.
    remove = "sudo nvidia-smi mig -dci; sudo nvidia-smi mig -dgi; sudo nvidia-smi mig -lgi"
    eventually("all instances are gone", lambda: "No GPU instances found" in machine.run(remove, check=False))
    if profiles:
        machine.run(f"sudo nvidia-smi mig -cgi {profiles} -C")
