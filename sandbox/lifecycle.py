"""From nothing to pods on MIG devices, and back to nothing."""

import contextlib
import os
import sys
from pathlib import Path

from plan.report import colours
from sandbox import builds, cache, distance, network, recovery, report, supplies
from sandbox.cloud import load_balancer
from sandbox.debian import packages as debian_packages
from sandbox.engine.environment import Environment
from sandbox.error import SandboxError
from sandbox.host import access, machine, room
from sandbox.instance import Sandbox, default_root, made, of_this_user
from sandbox.mirror.server import Mirror
from sandbox.progress import say, step
from sandbox.tools import toolchain
from sandbox.virtualenv import CHECKOUT

CANNOT_BOOT = 3
_STILL_WORKS = "`make preview`, `make check` and `python -m plan` work here all the same"


def preview(name: str, stack_file: Path) -> int:
    """The engine's preview: no root, no machine. Against the sandbox of this name if it is up, else of a new stack."""
    environment = Environment(default_root(name), machines=False)
    with recovery.exclusive(environment.root):
        with step("setting up"):
            environment.prepare(stack_file, supplies.published(environment.root))
        run_engine(environment, "preview")
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
    with recovery.exclusive(default_root(name)):
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
                run_engine(environment, "preview", "--suppress-outputs")
            run_engine(environment, "up", "--yes", "--skip-preview", "--suppress-outputs")
        except SandboxError as error:
            access.write_kubeconfig(environment)
            raise SandboxError(f"{error}; {report.after_a_failure(sandbox)}") from error
        access.write_kubeconfig(environment)
        outputs = environment.outputs()
        access.write_known_hosts(environment, outputs.get("knownHosts", {}))
        colour = colours.wanted(sys.stdout)
        verdict = report.verification(outputs, colour=colour)
        print(f"\n{verdict}\n\n{report.how_to_go_on(environment, colour=colour)}")
        return 0


def down(name: str, *, seconds: float = 0) -> int:
    """Destroy the stack and leave nothing: no process, mount, namespace or file. Also after a kill.

    `seconds`: how long another command on this sandbox is waited for.
    """
    root = default_root(name)
    if not root.exists():
        say(f"there is no sandbox {name}: nothing to end")
        return 0
    refuse_without_root(root)
    with recovery.exclusive(root, seconds=seconds):
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


def refuse_without_root(root: Path) -> None:
    """Refuse to touch machines without root, since only half of it would be done. Raises SandboxError."""
    if os.geteuid() != 0 and (root / "instance.json").exists():
        sandbox = Sandbox.load(root)
        if network.path(sandbox.wire).exists():
            raise SandboxError(f"sandbox {sandbox.name} is up, and its machines are root's: run this with sudo")


def _destroy(environment: Environment) -> None:
    try:
        recovery.clear(environment)
        run_engine(environment, "destroy", "--yes", "--skip-preview")
    except SandboxError as error:
        say(f"{error}: its machines are ended without it")


def run_engine(environment: Environment, verb: str, *flags: str) -> None:
    """Run the CLI for people to see. Raises SandboxError if it fails: the CLI has said why."""
    with step(f"pulumi {verb}", silent=False):
        if environment.pulumi(verb, *flags, "--config-file", str(environment.stack_file)):
            raise SandboxError(f"pulumi {verb} failed")
