"""What people do with a sandbox that is up: verify it, draw its times, rotate, refresh, recover, switch machines."""

import json
from collections.abc import Iterable
from pathlib import Path

from sandbox import network, recovery
from sandbox.clients import opened
from sandbox.cloud import power
from sandbox.engine.environment import Environment
from sandbox.error import SandboxError
from sandbox.host import access, machine
from sandbox.instance import Sandbox, default_root, of_this_user
from sandbox.lifecycle import refuse_without_root, run_engine
from sandbox.mirror.downloads import downloads
from sandbox.mirror.server import Mirror
from sandbox.progress import say
from scripts import rotate_certificates as certificates
from scripts import verify as verification
from scripts.stack import StackError, names
from scripts.timeline import last_up
from scripts.timeline.update import Timeline


def verify(name: str, xml: Path | None) -> int:
    """Run the verification once more, changing nothing; `xml`: where its report is written as JUnit XML too."""
    environment = opened(name)
    try:
        return verification.conclude(verification.again(list(_ways_in(environment, "server").values())), xml)
    except StackError as error:
        raise SandboxError(str(error)) from None


def timeline(name: str, picture: Path | None) -> int:
    """Draw what the last `up` took; `picture`: where it is written as SVG too."""
    try:
        last_up.draw(last_timeline(name), picture)
    except StackError as error:
        raise SandboxError(str(error)) from None
    return 0


def last_timeline(name: str) -> Timeline:
    """The timeline of the last `up`, with what the machines have fetched. Raises SandboxError."""
    environment = opened(name)
    history = json.loads(environment.output("stack", "history", "--json"))
    sandbox = Sandbox.load(environment.root)
    by_address = {login.address: login.name for login in access.logins(sandbox)}
    machines = _ways(environment, by_address.values())
    try:
        resources, fetched = environment.state()["resources"], downloads(sandbox, by_address)
        return last_up.last(resources, history, last_up.records(machines), fetched)
    except StackError as error:
        raise SandboxError(str(error)) from None


def rotate_certificates(name: str) -> int:
    """As `make rotate-certificates` of a stack in Azure: new certificates on every machine, and the kubeconfig anew."""
    environment = opened(name)
    refuse_without_root(environment.root)
    with recovery.exclusive(environment.root):
        try:
            left = certificates.rotate(*(_ways_in(environment, role) for role in ("server", "agent")))
            flags = ("--yes", "--skip-preview", "--suppress-outputs", *certificates.KUBECONFIG_ALONE)
            run_engine(environment, "up", *flags)
            access.write_kubeconfig(environment)
            certificates.conclude(left)
        except StackError as error:
            raise SandboxError(str(error)) from None
    return 0


def _ways_in(environment: Environment, role: str) -> dict[str, list[str]]:
    return _ways(environment, names(environment.stack_file, role=role))


def _ways(environment: Environment, machines: Iterable[str]) -> dict[str, list[str]]:
    ssh = ["ssh", "-F", str(access.ssh_config(environment.root))]
    return {machine: [*ssh, machine] for machine in machines}


def refresh(name: str) -> int:
    """Compare the state with what is really there."""
    environment = opened(name)
    refuse_without_root(environment.root)
    with recovery.exclusive(environment.root):
        run_engine(environment, "refresh", "--yes", "--skip-preview")
    return 0


def recover(name: str) -> int:
    """Take away what an interrupted command left, as `make recover NAME=…` does."""
    environment = opened(name)
    refuse_without_root(environment.root)
    try:
        with recovery.exclusive(environment.root):
            recovery.recover(environment)
    except StackError as error:
        raise SandboxError(f"recover: {error}") from None
    return 0


def change_machine(name: str, verb: str, machine_name: str) -> int:
    """What a person with `az vm deallocate` or `az vm start`, Azure with an eviction, or a cable does to a machine."""
    sandbox = Sandbox.load(default_root(name))
    refuse_without_root(sandbox.root)
    if verb in ("unplug", "plug"):
        network.plug(sandbox, power.vm_id(sandbox, machine_name), into=verb == "plug")
    else:
        change = {"deallocate": power.deallocate, "start": power.start, "evict": power.evict}[verb]
        change(sandbox, machine_name, machine)
    say(f"{machine_name}: {verb} is done")
    return 0


def status() -> int:
    """One line for each sandbox and each machine."""
    names = of_this_user()
    for name in names:
        root = default_root(name)
        if not (root / "instance.json").exists():
            print(f"{name}: previews only ({root})")
            continue
        sandbox = Sandbox.load(root)
        mirror = "runs" if Mirror(sandbox).running else "does not run"
        print(f"{name}: {root}, network {sandbox.network}.0/24, mirror {mirror}")
        for vm_id in sandbox.machine_ids:
            login = access.login(sandbox, vm_id)
            described = f"{login.name}, {login.address}" if login else "half made"
            print(f"  machine {vm_id} ({described}): {machine.status(sandbox, vm_id)}")
    if not names:
        print("no sandbox")
    return 0
