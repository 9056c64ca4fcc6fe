"""A sandbox that a bench has for itself."""

from collections.abc import Callable
from pathlib import Path

from sandbox import distance, lifecycle
from sandbox.error import SandboxError
from sandbox.instance import default_root, made

_PROFILE = "azure"


def measured(name: str, what: str, measure: Callable[[], int]) -> int:
    """Measure `what` in the sandbox `name`, of which nothing is there before and after. The exit code."""
    try:
        if lifecycle.build("machines") == lifecycle.CANNOT_BOOT:
            print(f"LEFT OUT: {what}, for the reason above. Where machines can boot: `sudo make bench`")
            return 0
        if default_root(name).exists():  # of a run that was killed
            lifecycle.down(name)
        try:
            return measure()
        finally:
            lifecycle.down(name)
    except SandboxError as error:
        print(error)
        return 1


def of_one(
    arguments: list[str], show: Callable[[str], int], name: str, what: str, bring_up: Callable[[], object]
) -> int:
    """Show the figures of the sandbox that the command line names, else of one brought up for it. The exit code."""

    def brought_up() -> int:
        bring_up()
        return show(name)

    try:
        return show(arguments[0]) if arguments else measured(name, what, brought_up)
    except SandboxError as error:
        print(error)
        return 1


def bring_up_far(name: str, stack_file: Path) -> None:
    """Bring a stack up in the sandbox `name`, with real distances and sizes."""
    distance.put(made(name).root, distance.PROFILES[_PROFILE])
    lifecycle.up(name, stack_file, skip_preview=True)
