"""What a preview costs with 1, 10, 100 and 1000 machines: seconds, and the memory of engine and program.

python tests/bench/size_times.py            prints a table; about five minutes
python tests/bench/size_times.py 1 10 100   of these numbers of machines alone

Exit code 1 where the time grows worse than linearly (`growth.py`). Processes are looked at every tenth of a second;
each tells its own peak of memory.
"""

import json
import re
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))

from sandbox.engine.environment import Environment  # noqa: E402 - the checkout is not an installed package
from tests.bench.growth import verdict  # noqa: E402
from tests.bench.stack_sizes import stack_file  # noqa: E402

SIZES = (1, 10, 100, 1000)
_ENGINE, _PROGRAM = re.compile(r"/bin/pulumi "), re.compile(r"/sandbox/providers/program\.py")


@dataclass(frozen=True)
class Cost:
    """`engine` and `program`: peak resident memory in MB."""

    machines: int
    seconds: float
    engine: int
    program: int

    def row(self) -> str:
        memory = f"engine {self.engine:>5} MB   program {self.program:>5} MB"
        return f"preview of {self.machines:>4} machines {self.seconds:8.1f} s   {memory}"


def measured(home: Path, machines: int) -> Cost:
    """Measure one preview with this many machines."""
    home.mkdir(exist_ok=True)
    environment = Environment(home / f"sandbox-{machines}", machines=False)
    stack = home / f"stack-{machines}.yaml"
    stack.write_text(stack_file(machines))
    environment.prepare(stack, None)
    arguments = ("preview", "--non-interactive", "--json", "--config-file", str(environment.stack_file))
    said: list[str] = []
    preview = threading.Thread(target=lambda: said.append(environment.output(*arguments)))
    begun, peaks = time.monotonic(), dict.fromkeys((_ENGINE, _PROGRAM), 0)
    preview.start()
    while preview.is_alive():
        _look(peaks, str(home))
        preview.join(0.1)
    seconds = time.monotonic() - begun
    created = json.loads(said[0])["changeSummary"]["create"]
    if created < 10 * machines:
        raise SystemExit(f"a preview of {machines} machines creates {created} resources: what was measured?")
    return Cost(machines, seconds, peaks[_ENGINE], peaks[_PROGRAM])


def _look(peaks: dict[re.Pattern[str], int], home: str) -> None:
    """Raise the peaks to what the processes of each kind tell now that belong to the bench, by where they work."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            kind = next((each for each in peaks if each.search(words)), None)
            if kind and home in words + (process / "environ").read_text(errors="replace"):
                peak = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
                peaks[kind] = max(peaks[kind], int(peak[1]) // 1000 if peak else 0)
        except OSError:  # it has ended
            continue


def main(arguments: list[str]) -> int:
    """Print the table; the exit code."""
    home = Path(tempfile.mkdtemp(prefix="mig-k8s-bench-"))
    costs: list[Cost] = []
    try:
        measured(home / "warm", 1)  # the page cache
        for machines in map(int, arguments) if arguments else SIZES:
            costs.append(measured(home, machines))
            print(costs[-1].row(), flush=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return verdict([(cost.machines, cost.seconds) for cost in costs])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
