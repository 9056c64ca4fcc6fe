"""The Azure stand-in whose machines are SSH servers on addresses of loopback, in a network namespace of the test's own.

`python loopback_cloud.py ENGINE` is the plugin, `python loopback_cloud.py DIRECTORY ADDRESS` one machine, `python
loopback_cloud.py deallocate|start|evict MACHINE` what a person or Azure does to one. A machine shows the host keys that
it was told last, or that of its user-data; what is run on it is answered by `stack_programs.py`, which notes it in its
directory.
"""

import asyncio
import gzip
import io
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import paramiko
import yaml
from held import hold
from ssh_server import SshServer

from sandbox import private_file
from sandbox.cloud import power
from sandbox.cloud.azure_native import AzureNative
from sandbox.cloud.balancing_rules import Forwarding, forwardings
from sandbox.cloud.load_balancer import forward
from sandbox.host.machine import MachineSpec, MachineStatus
from sandbox.instance import Sandbox
from sandbox.process import ProcessId
from sandbox.providers.resource_provider import serve
from sandbox.providers.values import Properties

_PROGRAMS = Path(__file__).with_name("stack_programs.py")


class LoopbackMachines:
    """Starts and ends such machines as `sandbox.host.machine` does real ones."""

    def start(self, sandbox: Sandbox, spec: MachineSpec) -> None:
        directory = sandbox.machine_directory(spec.vm_id)
        directory.mkdir(parents=True, exist_ok=True)
        with (sandbox.root / "started").open("a") as notes:
            notes.write(f"{spec.name}\n")
        private_file.write(directory / "user-data", gzip.decompress(spec.custom_data).decode())
        login = {"name": spec.name, "address": spec.public_address, "user": spec.admin_username}
        private_file.write(directory / "machine.json", json.dumps(login))
        with (directory / "console.log").open("w") as log:
            machine = subprocess.Popen(
                [sys.executable, __file__, str(directory), spec.public_address],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert machine.stdout
        assert machine.stdout.readline() == b"listens\n", (directory / "console.log").read_text()

    def power_off(self, sandbox: Sandbox, vm_id: str) -> None:
        if machine := ProcessId.read(sandbox.machine_directory(vm_id) / "machine.pid"):
            machine.kill()

    def stop(self, sandbox: Sandbox, vm_id: str) -> None:
        self.power_off(sandbox, vm_id)
        shutil.rmtree(sandbox.machine_directory(vm_id), ignore_errors=True)

    def status(self, sandbox: Sandbox, vm_id: str) -> MachineStatus:
        alive = ProcessId.read(sandbox.machine_directory(vm_id) / "machine.pid")
        return MachineStatus.RUNNING if alive else MachineStatus.OFF


class LoopbackBalancers:
    """Hands connections at port 22 of a load balancer to whichever machine takes them, without any probe."""

    def start(self, sandbox: Sandbox, balancer: str) -> None:
        # With the plugin's own standard error it would keep the engine: that waits until nobody has it open any more.
        with (sandbox.root / "balancer.log").open("w") as log:
            carrier = subprocess.Popen(
                [sys.executable, __file__, "balance", str(sandbox.root), balancer],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert carrier.stdout
        assert carrier.stdout.readline() == b"listens\n", (sandbox.root / "balancer.log").read_text()

    def stop(self, sandbox: Sandbox, balancer: str) -> None:
        assert balancer
        if carrier := ProcessId.read(sandbox.root / "balancer.pid"):
            carrier.kill()


class LoopbackAzure(AzureNative):
    """Can be stopped when something is done and not yet reported."""

    def create(self, token: str, urn: str, inputs: Properties, timeout: float) -> tuple[str, Properties]:
        made = super().create(token, urn, inputs, timeout)
        hold(self._root, f"create {urn.rsplit('::', 1)[1]}")
        return made

    def update(self, token: str, urn: str, old: Properties, new: Properties, timeout: float) -> Properties:
        state = super().update(token, urn, old, new, timeout)
        hold(self._root, f"update {urn.rsplit('::', 1)[1]}")
        return state

    def delete(self, token: str, urn: str, resource_id: str, state: Properties) -> None:
        super().delete(token, urn, resource_id, state)
        hold(self._root, f"delete {urn.rsplit('::', 1)[1]}")

    @property
    def _root(self) -> Path:
        return Sandbox.from_environment().root


async def _balance(root: Path, balancer: str) -> None:
    def rule() -> Forwarding:
        records = json.loads((root / "azure.json").read_text())
        return next(each for each in forwardings(records, balancer) if each.port == 22)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for address in rule().backends:
            try:
                machine = await asyncio.open_connection(address, 22)
            except OSError:
                continue
            await forward((reader, writer), machine)  # a connection that is lost does not go on with another machine
            machine[1].close()
            break
        writer.close()

    async with await asyncio.start_server(accept, rule().address, 22) as server:
        ProcessId.me().write(root / "balancer.pid")
        print("listens", flush=True)
        await server.serve_forever()


def _machine(directory: Path, address: str) -> None:
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    script = f'#!/bin/sh\nexec {sys.executable} {_PROGRAMS} machine {directory} "$@"\n'
    private_file.write(programs / "sudo", script, mode=0o700)
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
    (first,) = (
        text
        for name, text in yaml.safe_load((directory / "user-data").read_text())["ssh_keys"].items()
        if name.endswith("_private")
    )

    def shown() -> list[paramiko.PKey]:
        told = directory / "host-keys.json"
        return [_key(text) for text in (json.loads(told.read_text()) if told.exists() else []) or [first]]

    with socket.create_server((address, 22)) as listener:
        ProcessId.me().write(directory / "machine.pid")
        print("listens", flush=True)
        SshServer(_key(first), "", listener, shown=shown).serve()


def _key(text: str) -> paramiko.PKey:
    kind = paramiko.ECDSAKey if "EC PRIVATE KEY" in text else paramiko.Ed25519Key
    return kind.from_private_key(io.StringIO(text))


if __name__ == "__main__":
    if verb := {"deallocate": power.deallocate, "start": power.start, "evict": power.evict}.get(sys.argv[1]):
        verb(Sandbox.from_environment(), sys.argv[2], LoopbackMachines())
    elif sys.argv[1] == "balance":
        asyncio.run(_balance(Path(sys.argv[2]), sys.argv[3]))
    elif Path(sys.argv[1]).is_dir():
        _machine(Path(sys.argv[1]), sys.argv[2])
    else:
        serve(LoopbackAzure(LoopbackMachines(), LoopbackBalancers()))
