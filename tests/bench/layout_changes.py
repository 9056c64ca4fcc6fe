"""What changes of layout cost, over every model and from every state that a GPU can be in.

python tests/bench/layout_changes.py      prints a table; exit code 1 when a change removes more than it has to

Takes some minutes: 294,513 changes for each model with eight memory slices. tests/unit/test_smallest_change.py holds
the same for the layouts without media extensions and for histories of three changes.
"""

import sys
import time
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

from machine.documents.layout import Place  # noqa: E402
from machine.placement import choose  # noqa: E402
from mig_states import MODELS, every, wanted  # noqa: E402 - the checkout is not an installed package
from plan.gpu.catalogue import gpu_models  # noqa: E402
from plan.gpu.placement import best_placement  # noqa: E402


def main() -> int:
    """Print, per model, how often and by how much the best possible is missed."""
    print(f"{'model':<14}{'changes':>10}{'removed':>10}{'needlessly':>12}{'less creatable':>16}{'slowest ms':>12}")
    worst = 0
    for name in MODELS:
        model, known = gpu_models()[name], every(name)
        own = {layout: best_placement(model, dict(layout)) or () for layout in known.by_layout}
        changes = removed = needless = poorer = 0
        slowest = 0.0
        for before in known.left:
            worth = {Place(*place): 1 for place in before}
            for layout, places in own.items():
                if layout == wanted(before):
                    continue
                begun = time.process_time()
                chosen = choose(model.profiles, dict(layout), worth, places) or ()
                slowest = max(slowest, time.process_time() - begun)
                after = frozenset((place.profile, place.start) for place in chosen)
                _, kept, left = known.best(layout, before)
                changes += 1
                removed += len(before - after)
                needless += kept - len(after & before)
                poorer += known.left[after] != left
        print(f"{name:<14}{changes:>10}{removed:>10}{needless:>12}{poorer:>16}{slowest * 1000:>12.1f}", flush=True)
        worst = max(worst, needless, poorer)
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
