"""The first `up` of 1, 4 and 8 machines with real distances and sizes: a server, and agents that join it.

python -m tests.bench.machines_times          prints a table; root, about a quarter of an hour
python -m tests.bench.machines_times 1 2 3    of these numbers of machines

All machines share this one's cores. A part of the growth is theirs: on as many computers nobody would wait for it.
Exit code 1 where the time grows worse than linearly (`growth.py`).
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))

from sandbox import operations  # noqa: E402 - the checkout is not an installed package
from tests.bench.a_sandbox import bring_up_far, measured  # noqa: E402
from tests.bench.growth import verdict  # noqa: E402
from tests.bench.stack_sizes import stack_file  # noqa: E402

SIZES = (1, 4, 8)
_NAME = "bench-machines"


def _row(machines: int) -> tuple[int, float]:
    """Bring that many machines up in a sandbox with distance, and print what it took; machines and seconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as stack:
        stack.write(stack_file(machines))
        stack.flush()
        bring_up_far(_NAME, Path(stack.name))
    found = operations.last_timeline(_NAME)
    print(
        f"up of {machines} machines {found.seconds:8.1f} s   {found.seconds / found.unavoidable:.2f} × boot and bytes"
    )
    return machines, found.seconds


def main(arguments: list[str]) -> int:
    """Print the table; the exit code."""
    rows: list[tuple[int, float]] = []

    def brought_up(machines: int) -> int:
        rows.append(_row(machines))
        return 0

    for machines in map(int, arguments) if arguments else SIZES:
        if measured(_NAME, "the times of several machines", partial(brought_up, machines)):
            return 1
        if not rows:  # no machine can boot on this one
            return 0
    print(*(f"up of {machines} machines: {seconds:.0f} s" for machines, seconds in rows), sep="\n")
    return verdict(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
