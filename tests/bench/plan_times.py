"""How long the plan takes: `check` as a program, the solver per GPU, whole stacks of 1 to 1000 machines.

python tests/bench/plan_times.py      prints a table; exit code 1 when one is slower than the design allows
"""

import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))

from plan import plan_stack, read_settings  # noqa: E402 - the checkout is not an installed package
from plan.gpu.catalogue import gpu_models  # noqa: E402
from plan.gpu.nearest import layouts  # noqa: E402
from plan.gpu.placement import best_placement  # noqa: E402
from tests.bench.stack_sizes import configuration  # noqa: E402

CHECK_SECONDS = 0.5
SOLVER_SECONDS = 0.010
PLAN_SECONDS = 1.0
"""Of 1000 machines (design, section 10)."""


def best_of(times: int, run: Callable[[], object]) -> float:
    """Seconds of the fastest run."""
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        spent.append(time.perf_counter() - begun)
    return min(spent)


def check(compiled: str) -> None:
    """`python -m plan check` of the development stack, as a program that finds its modules compiled after the first."""
    command = [sys.executable, "-m", "plan", "check", "Pulumi.dev.yaml"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = compiled
    subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.DEVNULL, env=environment)


def slowest_layout(name: str) -> float:
    """Processor seconds of the layout of this GPU model that takes the solver longest.

    Each is asked once, as the second time its answer is remembered; so the one among hundreds in which Python looks
    for garbage, everything it ever loaded, would be the slowest. As with timeit, it does not look while this runs.
    """
    model = gpu_models()[name]
    slowest = 0.0
    gc.disable()
    try:
        for layout in layouts(model):
            begun = time.process_time()
            best_placement(model, dict(layout))
            slowest = max(slowest, time.process_time() - begun)
    finally:
        gc.enable()
    return slowest


def stack_of(machines: int) -> float:
    """Seconds from the mapping of a stack file to the plan of this many machines."""
    config = configuration(machines)
    secrets = ("sshPrivateKey", "sshHostKey", "rke2Token")
    return best_of(3, lambda: plan_stack(read_settings(config, location="westeurope", secrets=secrets)))


def main() -> int:
    """Print the table; the exit code."""
    with tempfile.TemporaryDirectory(prefix="mig-k8s-bench-") as compiled:
        seconds = best_of(5, lambda: check(compiled))
    slowest = max(slowest_layout(name) for name in gpu_models())
    print(f"plan check, as a program          {seconds:8.3f} s   at most {CHECK_SECONDS} s")
    print(f"solver, slowest layout of all     {slowest * 1000:8.3f} ms  at most {SOLVER_SECONDS * 1000:.0f} ms")
    planned = {machines: stack_of(machines) for machines in (1, 10, 100, 1000)}
    for machines, spent in planned.items():
        print(f"plan of {machines:>4} machines             {spent * 1000:8.1f} ms")
    print(f"  the largest                     at most {PLAN_SECONDS * 1000:.0f} ms")
    return int(seconds > CHECK_SECONDS or slowest > SOLVER_SECONDS or planned[1000] > PLAN_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
