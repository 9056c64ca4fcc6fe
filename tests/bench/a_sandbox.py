"""A sandbox that a bench has for itself."""

from collections.abc import Callable

from sandbox import lifecycle
from sandbox.error import SandboxError
from sandbox.instance import default_root


def measured(name: str, what: str, measure: Callable[[], int]) -> int:
    """Measure `what` in the sandbox `name`, of which nothing is there before and after. The exit code."""

    def alone() -> int:
        if lifecycle.build("machines") == lifecycle.CANNOT_BOOT:
            print(f"LEFT OUT: {what}, for the reason above. Where machines can boot: `sudo make bench`")
            return 0
        if default_root(name).exists():  # of a run that was killed
            lifecycle.down(name)
        try:
            return measure()
        finally:
            lifecycle.down(name)

    return told(alone)


def told(measure: Callable[[], int]) -> int:
    """The exit code; 1 where the sandbox fails, with its reason and no traceback."""
    try:
        return measure()
    except SandboxError as error:
        print(error)
        return 1
