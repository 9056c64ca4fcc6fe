"""`python -m sandbox COMMAND`: the commands behind `make preview`, `make sandbox` and `make sandbox-down`."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from sandbox import cache, clients, distance, person
from sandbox.error import SandboxError
from sandbox.faults import fault
from sandbox.instance import Sandbox, default_root, give_back, made
from sandbox.progress import say
from sandbox.virtualenv import CHECKOUT

_DEFAULT_STACK = CHECKOUT / "Pulumi.dev.yaml"
_MACHINE = {
    "deallocate": "as `az vm deallocate`, or Azure at the hour of autoShutdown: disk and addresses stay",
    "start": "as `az vm start`: a machine that is off boots again, on another host if it was deallocated",
    "evict": "as Azure, which needs the capacity: deallocated or deleted, by the spot machine's policy",
    "unplug": "as a broken network: the machine runs, for Azure too, and nobody reaches it",
    "plug": "the end of that",
}


def main() -> int:
    """The exit status: 0, that of the program that was run, or 1 with one text that says why."""
    person.take_the_place()
    own, passed_on = _divided(sys.argv[1:])
    arguments = _parser().parse_args(own)
    try:
        return _run(arguments, passed_on)
    except SandboxError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        again, end = person.command("make sandbox"), person.command("make sandbox-down")
        say(f"interrupted; `{again}` goes on, `{end}` ends what was started")
        return 130
    except PermissionError as error:
        if os.geteuid() == 0:
            raise
        back = person.command("make sandbox-status")
        say(f"{error.filename}: permission denied. A command that was killed left it to root: `{back}` gives it back")
        return 1
    finally:
        cache.give_back()
        give_back()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A cloud and a GPU machine on this one.")
    parser.add_argument("--name", default="default", help="which sandbox (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, text in (("preview", "the engine's preview; no root"), ("up", "bring a stack up and verify it; root")):
        with_stack = commands.add_parser(command, help=text)
        with_stack.add_argument("stack", nargs="?", type=Path, default=_DEFAULT_STACK, metavar="STACK")
        if command == "up":
            what = "the program of another checkout, on this sandbox (default: this one's)"
            with_stack.add_argument("--program", type=Path, default=CHECKOUT, metavar="DIRECTORY", help=what)
            with_stack.add_argument("--skip-preview", action="store_true", help="no preview before it")
            with_stack.add_argument("--profile", choices=distance.PROFILES, help="as `network --profile` before it")
    tier = commands.add_parser("build", help="build what takes long; status 3: no machine can boot here")
    tier.add_argument("tier", choices=["engine", "machines"])
    again = commands.add_parser("verify", help="verify the stack that is up once more; changes nothing")
    again.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML too")
    drawn = commands.add_parser("timeline", help="what the last `up` took, drawn")
    drawn.add_argument("--svg", type=Path, metavar="FILE", help="write it as a picture too")
    commands.add_parser("rotate-certificates", help="have RKE2 make its certificates anew on every machine")
    commands.add_parser("refresh", help="compare the state with what is there")
    commands.add_parser("recover", help="end what an interrupted command left")
    commands.add_parser("status", help="what runs")
    commands.add_parser("down", help="destroy the stack and leave nothing")
    commands.add_parser("clean", help="`down` for every sandbox")
    for command, text in _MACHINE.items():
        commands.add_parser(command, help=text).add_argument("machine", metavar="MACHINE")
    broken = commands.add_parser("fault", help="let something go wrong in this sandbox's next `up`")
    broken.add_argument("fault", nargs="?", metavar="NAME", help="which one")
    broken.add_argument("--off", action="store_true", help="end it; without NAME, all of them")
    broken.add_argument("--list", action="store_true", help="every fault, and which are on")
    far = commands.add_parser("network", help="how far its mirror and its cloud are; without --profile, says it")
    far.add_argument("--profile", choices=distance.PROFILES, help="from now on, before an `up` or on a living sandbox")
    for command, text in clients.ABOUT.items():
        commands.add_parser(command, help=text, add_help=False)
    return parser


def _divided(words: list[str]) -> tuple[list[str], list[str]]:
    """Our own words, and those of a program that is run, which argparse would take for mistakes: `kubectl -n …`."""
    command = 2 if words[:1] == ["--name"] else 1 if words and words[0].startswith("--name=") else 0
    if command < len(words) and words[command] in clients.ABOUT:
        return words[: command + 1], words[command + 1 :]
    return words, []


def _run(arguments: argparse.Namespace, passed_on: list[str]) -> int:
    name = arguments.name
    if arguments.command in clients.ABOUT:
        clients.become(name, arguments.command, passed_on)
    from sandbox import lifecycle, operations  # noqa: PLC0415 - with Pulumi and the plan, for which kubectl and ssh need not wait

    if profile := getattr(arguments, "profile", None):  # of `up` and of `network`
        distance.put(made(name).root, distance.PROFILES[profile])
    if arguments.command in _MACHINE:
        return operations.change_machine(name, arguments.command, arguments.machine)
    actions: dict[str, Callable[[], int]] = {
        "build": lambda: lifecycle.build(arguments.tier),
        "preview": lambda: lifecycle.preview(name, arguments.stack),
        "up": lambda: lifecycle.up(
            name, arguments.stack, arguments.program.absolute(), skip_preview=arguments.skip_preview
        ),
        "verify": lambda: operations.verify(name, arguments.junit),
        "timeline": lambda: operations.timeline(name, arguments.svg),
        "rotate-certificates": lambda: operations.rotate_certificates(name),
        "refresh": lambda: operations.refresh(name),
        "recover": lambda: operations.recover(name),
        "status": operations.status,
        "down": lambda: lifecycle.down(name),
        "clean": lifecycle.down_all,
        "network": lambda: _network(name),
        "fault": lambda: _fault(name, arguments.fault, off=arguments.off, show=arguments.list),
    }
    return actions[arguments.command]()


def _network(name: str) -> int:
    """Say which profile a sandbox has."""
    print(f"sandbox {name} has the network profile {distance.of(default_root(name))}")
    return 0


def _fault(name: str, wanted: str | None, *, off: bool, show: bool) -> int:
    """Switch one fault, or all of them off; or list them."""
    root = default_root(name)
    known = fault.switched_on(Sandbox.load(root)) if (root / "instance.json").exists() else set()
    if show or not (wanted or off):
        for one, about in fault.ABOUT.items():
            print(f"{'on' if one in known else '':<3}{one:<24}{about}")
        return 0
    for one in [wanted] if wanted else sorted(known):
        fault.switch(made(name), one, on=not off)
        say(f"{one} is off" if off else f"{one} is on: {fault.ABOUT[one]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
