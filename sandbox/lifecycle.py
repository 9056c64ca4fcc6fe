"""From nothing to pods on MIG devices, and back to nothing."""

import contextlib
import json
import os
from pathlib import Path

from sandbox import builds, cache, distance, network, recovery, report, supplies
from sandbox.clients import opened
from sandbox.cloud import load_balancer, power
from sandbox.debian import packages as debian_packages
from sandbox.engine.environment import Environment
from sandbox.error import SandboxError
from sandbox.host import access, machine, room
from sandbox.instance import Sandbox, default_root, made, of_this_user
from sandbox.mirror.downloads import downloads
from sandbox.mirror.server import Mirror
from sandbox.progress import say, step
from sandbox.tools import toolchain
from sandbox.virtualenv import CHECKOUT
from scripts import rotate_certificates as certificates
from scripts import timeline as drawn
from scripts import verify as verification
from scripts.stack import StackError, names

CANNOT_BOOT = 3
_STILL_WORKS = "`make preview`, `make check` and `python -m plan` work here all the same"


def preview(name: str, stack_file: Path) -> int:
    """The engine's preview: no root, no machine. Against the sandbox of this name if it is up, else of a new stack."""
    environment = Environment(default_root(name), machines=False)
    with recovery.alone(environment.root):
        with step("setting up"):
            environment.prepare(stack_file, supplies.published(environment.root))
        _engine(environment, "preview")
    return 0


def build(tier: str) -> int:
    """What takes long and the tests of a tier want within a time limit: `engine` or `machines`.

    CANNOT_BOOT is the status when this machine cannot boot others; it has been said why.
    """
    if tier == "engine":
        debian_packages.install_missing(debian_packages.FOR_C)
        builds.for_the_engine()
        toolchain.nvml()
    if tier == "machines":
        if why := _obstacle():
            say(f"no machine can boot on this one: {why}. {_STILL_WORKS}")
            return CANNOT_BOOT
        builds.for_machines()
    return 0


def up(name: str, stack_file: Path, program: Path = CHECKOUT, *, skip_preview: bool = False) -> int:
    """Everything: set-up, preview, `pulumi up`, the report, how to go on. Run again, it changes only what differs.

    `program`: the checkout whose program the engine runs.
    """
    if why := _obstacle():
        raise SandboxError(f"no machine can boot on this one: {why}. {_STILL_WORKS}")
    supplies.refuse(stack_file)
    with recovery.alone(default_root(name)):
        sandbox = made(name)
        if (profile := distance.of(sandbox.root)) != distance.NONE:
            say(f"network profile {profile}")
        environment = Environment(sandbox.root, machines=True, program=program)
        with step("setting up"):
            builds.for_machines()
            Mirror(sandbox).start()
            load_balancer.start_all(sandbox)
            environment.link_cluster_programs()
            told = supplies.publish(sandbox, stack_file, older_program=program != CHECKOUT)
            environment.prepare(stack_file, told)
        try:
            if not skip_preview:
                _engine(environment, "preview", "--suppress-outputs")
            _engine(environment, "up", "--yes", "--skip-preview", "--suppress-outputs")
        except SandboxError as error:
            access.write_kubeconfig(environment)
            raise SandboxError(f"{error}; {report.after_a_failure(sandbox)}") from error
        access.write_kubeconfig(environment)
        outputs = environment.outputs()
        access.write_known_hosts(environment, outputs.get("knownHosts", {}))
        print(f"\n{report.verification(outputs)}\n\n{report.how_to_go_on(environment)}")
        return 0


def verify(name: str, xml: Path | None) -> int:
    """The verification once more, changing nothing; `xml`: where its report is written as JUnit XML too."""
    environment = opened(name)
    try:
        return verification.conclude(verification.again(list(_ways_in(environment, "server").values())), xml)
    except StackError as error:
        raise SandboxError(str(error)) from None


def timeline(name: str, picture: Path | None) -> int:
    """What the last `up` took, drawn; `picture`: where it is written as SVG too."""
    environment = opened(name)
    history = json.loads(environment.output("stack", "history", "--json"))
    ssh = ["ssh", "-F", str(access.ssh_config(environment.root))]
    machines = {login.name: [*ssh, login.name] for login in access.logins(Sandbox.load(environment.root))}
    try:
        resources, fetched = environment.state()["resources"], downloads(Sandbox.load(environment.root))
        drawn.draw(resources, history, drawn.records(machines), picture, fetched)
    except StackError as error:
        raise SandboxError(str(error)) from None
    return 0


def rotate_certificates(name: str) -> int:
    """As `make rotate-certificates` of a stack in Azure: new certificates on every machine, and the kubeconfig anew."""
    environment = opened(name)
    _refuse_without_root(environment.root)
    with recovery.alone(environment.root):
        try:
            left = certificates.rotate(*(_ways_in(environment, role) for role in ("server", "agent")))
            flags = ("--yes", "--skip-preview", "--suppress-outputs", *certificates.KUBECONFIG_ALONE)
            _engine(environment, "up", *flags)
            access.write_kubeconfig(environment)
            certificates.conclude(left)
        except StackError as error:
            raise SandboxError(str(error)) from None
    return 0


def _ways_in(environment: Environment, role: str) -> dict[str, list[str]]:
    ssh = ["ssh", "-F", str(access.ssh_config(environment.root))]
    return {machine: [*ssh, machine] for machine in names(environment.stack_file, role=role)}


def refresh(name: str) -> int:
    """Compare the state with what is really there."""
    environment = opened(name)
    _refuse_without_root(environment.root)
    with recovery.alone(environment.root):
        _engine(environment, "refresh", "--yes", "--skip-preview")
    return 0


def recover(name: str) -> int:
    """Take away what an interrupted command left, as `make recover NAME=…` does."""
    environment = opened(name)
    _refuse_without_root(environment.root)
    try:
        with recovery.alone(environment.root):
            recovery.recover(environment)
    except StackError as error:
        raise SandboxError(f"recover: {error}") from None
    return 0


def change_machine(name: str, verb: str, machine_name: str) -> int:
    """What a person with `az vm deallocate` or `az vm start`, Azure with an eviction, or a cable does to a machine."""
    sandbox = Sandbox.load(default_root(name))
    _refuse_without_root(sandbox.root)
    if verb in ("unplug", "plug"):
        network.plug(sandbox, power.vm_id(sandbox, machine_name), into=verb == "plug")
    else:
        change = {"deallocate": power.deallocate, "start": power.start, "evict": power.evict}[verb]
        change(sandbox, machine_name, machine)
    say(f"{machine_name}: {verb} is done")
    return 0


def down(name: str, *, seconds: float = 0) -> int:
    """Destroy the stack and leave nothing: no process, mount, namespace or file. Also after a kill.

    `seconds`: how long another command on this sandbox is waited for.
    """
    root = default_root(name)
    if not root.exists():
        say(f"there is no sandbox {name}: nothing to end")
        return 0
    _refuse_without_root(root)
    with recovery.alone(root, seconds=seconds):
        if (root / "instance.json").exists():
            sandbox = Sandbox.load(root)
            if (root / "stack.yaml").exists():
                _destroy(Environment(root, machines=True))
            with step("ending what is left"):
                for vm_id in sandbox.machine_ids:
                    machine.stop(sandbox, vm_id)
                load_balancer.stop_all(sandbox)
                Mirror(sandbox).stop()
                network.down(sandbox)
        recovery.end_plugins(root)
        cache.remove(root)
    with contextlib.suppress(OSError):  # not empty: another sandbox
        root.parent.rmdir()
    say(f"sandbox {name} is gone; the cache stays in {cache.root()}")
    return 0


def down_all() -> int:
    """`down` for every sandbox of this user, and what killed ones left to nobody."""
    for name in of_this_user():
        down(name)
    recovery.end_plugins(default_root().parent)
    recovery.remove_dead_groups()
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


def _obstacle() -> str | None:
    """Why no machine can boot here, once what it takes has been said, and what apt can bring has been installed."""
    if os.geteuid() != 0:
        return machine.obstacle()
    room.announce()
    if why := room.obstacle():
        return why
    try:
        debian_packages.install_missing(debian_packages.FOR_MACHINES)
    except SandboxError as error:
        return str(error)
    return machine.obstacle()


def _refuse_without_root(root: Path) -> None:
    """Raises SandboxError for who is not root where there are machines: half of what is to be done would be done."""
    if os.geteuid() != 0 and (root / "instance.json").exists():
        sandbox = Sandbox.load(root)
        if network.path(sandbox.wire).exists():
            raise SandboxError(f"sandbox {sandbox.name} is up, and its machines are root's: run this with sudo")


def _destroy(environment: Environment) -> None:
    try:
        recovery.clear(environment)
        _engine(environment, "destroy", "--yes", "--skip-preview")
    except SandboxError as error:
        say(f"{error}: its machines are ended without it")


def _engine(environment: Environment, verb: str, *flags: str) -> None:
    """Run the CLI for people to see. Raises SandboxError if it fails: the CLI has said why."""
    with step(f"pulumi {verb}", silent=False):
        if environment.pulumi(verb, *flags, "--config-file", str(environment.stack_file)):
            raise SandboxError(f"pulumi {verb} failed")
