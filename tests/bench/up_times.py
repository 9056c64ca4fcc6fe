"""The first `up` with real distances and sizes: of one machine as a ratio to what nobody can avoid, and of more.

python -m tests.bench.up_times            the dev stack with 1, 4 and 8 machines; root, about a quarter of an hour
python -m tests.bench.up_times SANDBOX    of the last `up` of one

All machines share this one's cores: on as many computers nobody would wait for a part of the growth. Exit code 1 if one
machine takes more than 1.2 times as long as its boots, reboots and downloads (design, section 10; issue 17), or if the
time grows worse than linearly (`growth.py`).
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))

from sandbox import distance, lifecycle, operations  # noqa: E402 - the checkout is not an installed package
from sandbox.instance import made  # noqa: E402
from scripts.timeline.text import text  # noqa: E402
from scripts.timeline.update import Timeline  # noqa: E402
from tests.bench.a_sandbox import measured, told  # noqa: E402
from tests.bench.growth import verdict  # noqa: E402
from tests.bench.stack_sizes import stack_file  # noqa: E402

MOST = 1.2
SIZES = (1, 4, 8)
_NAME = "bench-up"
_PROFILE = "azure"


def show(found: Timeline) -> int:
    """Print a timeline; the exit code."""
    print(text(found))
    ratio = found.seconds / found.unavoidable
    print(f"up / what nobody can avoid: {ratio:.2f}, at most {MOST}")
    return int(ratio > MOST)


def main(arguments: list[str]) -> int:
    """The exit code."""
    if arguments:
        return told(lambda: show(operations.last_timeline(arguments[0])))
    seconds: dict[int, float] = {}

    def brought_up(machines: int) -> int:
        _bring_up(machines)
        found = operations.last_timeline(_NAME)
        seconds[machines] = found.seconds
        return show(found) if machines == 1 else 0

    for machines in SIZES:
        if measured(_NAME, "the times of an `up`", partial(brought_up, machines)):
            return 1
        if not seconds:  # no machine can boot on this one
            return 0
    print(*(f"up of {machines} machines: {taken:.0f} s" for machines, taken in seconds.items()), sep="\n")
    return verdict(list(seconds.items()))


def _bring_up(machines: int) -> None:
    distance.put(made(_NAME).root, distance.PROFILES[_PROFILE])
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as stack:
        stack.write(stack_file(machines))
        stack.flush()
        lifecycle.up(_NAME, Path(stack.name), skip_preview=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
