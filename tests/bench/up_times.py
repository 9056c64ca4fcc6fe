"""The first `up` of the dev stack with real distances and sizes, as a ratio to what nobody can avoid in it.

python -m tests.bench.up_times            brings a sandbox up for it, and down again; root, about four minutes
python -m tests.bench.up_times SANDBOX    of the last `up` of one

Exit code 1 if it is more than 1.2 times as long as its boots, reboots and downloads (design, section 10; issue 17).
"""

import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))

from sandbox import operations  # noqa: E402 - the checkout is not an installed package
from tests.bench.a_sandbox import bring_up_far, of_one  # noqa: E402
from tests.bench.stack_sizes import DEVELOPMENT  # noqa: E402
from timeline.text import text  # noqa: E402

MOST = 1.2
_NAME = "bench-up"


def show(name: str) -> int:
    """Print the timeline of a sandbox's last `up`; the exit code."""
    found = operations.last_timeline(name)
    print(text(found))
    ratio = found.seconds / found.unavoidable
    print(f"up / what nobody can avoid: {ratio:.2f}, at most {MOST}")
    return int(ratio > MOST)


def main(arguments: list[str]) -> int:
    """The exit code."""
    return of_one(arguments, show, _NAME, "the times of an `up`", lambda: bring_up_far(_NAME, DEVELOPMENT))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
