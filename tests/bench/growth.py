"""How a figure grows with the number of machines."""

import itertools
from collections.abc import Sequence

GROWTH = 1.5


def verdict(figures: Sequence[tuple[int, float]]) -> int:
    """Print what a machine more costs from each number of machines to the next; `figures`: machines and seconds.

    The exit code: 1 where that is over GROWTH times what it was in the step before, which is worse than linear growth.
    """
    steps = [(more[1] - fewer[1]) / (more[0] - fewer[0]) for fewer, more in itertools.pairwise(figures)]
    print("a machine more: " + ", ".join(f"{step:.2f} s" for step in steps))
    worst = max((after / before for before, after in itertools.pairwise(steps)), default=0.0)
    print(f"against the step before: at most {worst:.2f} ×   goal {GROWTH} ×")
    return int(worst > GROWTH)
