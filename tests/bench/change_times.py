"""What changes of a living cluster take, each beside the sum of its parts that nobody can avoid, in one run.

python -m tests.bench.change_times      brings a sandbox up for it, and down again; root

A server and two agents with a GPU each; then an `up` that changes nothing, another layout, a third agent, and another
driver on all three agents. Exit code 1 where more agents were out at once than the stack file allows.

The parts: a preview of a program that declares almost nothing with the same providers; the command that changes the
instances; what a machine boots, runs and waits for by its own records; the verification. With one agent at a time, the
parts of all three follow each other. What is above the sum is the engine's, the connections', the cluster's and ours.
"""

import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

_ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tests" / "sandbox")]

from command_line import CommandLine  # noqa: E402 - the checkout is not an installed package
from nodes_out import watched  # noqa: E402

from sandbox.engine.environment import Environment  # noqa: E402
from scripts.timeline.span import covered  # noqa: E402
from tests.bench.a_sandbox import measured  # noqa: E402
from tests.bench.machine_times import OF_THE_ENGINE, resources_of, way_of  # noqa: E402
from tests.bench.preview_times import EMPTY, PROVIDERS, project, seconds  # noqa: E402

_NAME = "bench-changes"
_AT_ONCE = 1
_AGENTS = ("gpu", "gpu-1", "gpu-2")
_FEW = 2
_FIRST, _OTHER = {"3g.40gb": 1, "1g.10gb": 1}, {"3g.40gb": 1, "2g.20gb": 1}
_VERIFICATION = "verification-run"
_STEP = re.compile(r"^ \S{1,2} +\S+ (\S+) (?:created|updated|replaced)[a-z ]*\(([\d.]+)s\)", re.MULTILINE)
_LONGEST_SECONDS = 1200


@dataclass(frozen=True, slots=True)
class Row:
    """One change. `out`: how many agents were cordoned or not ready together."""

    change: str
    seconds: float
    parts: float
    out: int

    def __str__(self) -> str:
        ratio = self.seconds / self.parts
        return f"{self.change:<30}{self.seconds:>8.1f} s{self.parts:>12.1f} s{ratio:>9.2f} ×{self.out:>14}"


HEAD = f"{'change':<30}{'took':>10}{'its parts':>14}{'ratio':>11}{'agents out':>14}"


@dataclass(slots=True)
class Cluster:
    """A sandbox whose stack is changed; `base`: seconds of an engine that has nothing to do."""

    person: CommandLine
    base: float = 0

    def change(self, title: str, parts: Callable[[datetime, dict[str, float]], float], **pool: Any) -> Row:  # noqa: ANN401
        """Bring another stack up. `parts`: of when it began, and the seconds of each resource made or changed."""
        file = self.person.root / "stack.yaml"
        stack = yaml.safe_load(file.read_text())
        stack["config"] |= sections(**pool)
        file.write_text(yaml.safe_dump(stack))
        begun = datetime.now(UTC)
        with watched(self.person, _AGENTS[: pool.get("agents", _FEW)]) as nodes:
            taken = seconds(lambda: self._up(file))
        steps = {name: float(spent) for name, spent in _STEP.findall(self.person.said[-1])}
        row = Row(title, taken, self.base + parts(begun, steps), len(nodes.most))
        print(row, flush=True)
        return row

    def spent(self, since: datetime, *machines: str) -> float:
        """Seconds of what each machine did since, boot and reboot included, by its own records; their sum."""
        sandbox, by_engine = self.person.sandbox, dict(OF_THE_ENGINE).values()
        resources = resources_of(sandbox)
        ways = [way_of(sandbox, machine, resources) for machine in machines]
        return sum(covered(step for step in way if step.name not in by_engine and step.begins >= since) for way in ways)

    def _up(self, file: Path) -> None:
        flags = ("--yes", "--skip-preview", "--suppress-outputs", "--config-file", str(file))
        self.person.run("pulumi", "up", *flags, seconds=_LONGEST_SECONDS)


def sections(*, agents: int = _FEW, devices: dict[str, int] = _FIRST, open_modules: bool = False) -> dict[str, Any]:
    """The keys of the stack file that a change changes."""
    gpu = {"role": "agent", "count": agents, "vmSize": "Standard_NC24ads_A100_v4", "migDevices": devices}
    return {
        "mig-k8s:mig": {"strategy": "mixed"},
        "mig-k8s:driver": {"openKernelModules": open_modules},
        "mig-k8s:rollout": {"agentsAtOnce": _AT_ONCE},
        "mig-k8s:nodePools": [{"name": "server", "vmSize": "Standard_D4s_v5"}, {"name": "gpu", **gpu}],
    }


def base_seconds(folder: Path) -> float:
    """A preview of a program that declares almost nothing, with the same providers, on an engine of its own."""
    environment = Environment(folder / "sandbox", machines=False)
    environment.prepare(_ROOT / "Pulumi.dev.yaml", None)
    program = project(folder / "providers", EMPTY + PROVIDERS)
    preview = ("preview", "--non-interactive", "--config-file", str(environment.stack_file))
    environment.output(*preview, project=program)  # warms the page cache
    return seconds(lambda: environment.output(*preview, project=program))


def measure(person: CommandLine, folder: Path) -> int:
    """Bring the cluster up, change it, print a row for each change; the exit code."""
    config = yaml.safe_load((_ROOT / "Pulumi.dev.yaml").read_text())["config"]
    stack = folder / "changes.yaml"
    stack.write_text(yaml.safe_dump({"config": config | sections()}))
    person.up(stack, "--skip-preview", seconds=_LONGEST_SECONDS)
    cluster = Cluster(person, base_seconds(folder))
    print(f"\n{HEAD}", flush=True)
    rows = [
        cluster.change("nothing", lambda _begun, _steps: 0),
        cluster.change(
            "another layout of two agents",
            lambda _begun, steps: max(steps["gpu-mig"], steps["gpu-1-mig"]) + steps[_VERIFICATION],
            devices=_OTHER,
        ),
        cluster.change(
            "an agent added",
            lambda begun, steps: cluster.spent(begun, "gpu-2") + steps["gpu-2-mig"] + steps[_VERIFICATION],
            devices=_OTHER,
            agents=3,
        ),
        cluster.change(
            f"another driver, {_AT_ONCE} agent at once",
            lambda begun, steps: cluster.spent(begun, *_AGENTS) + steps[_VERIFICATION],
            devices=_OTHER,
            agents=3,
            open_modules=True,
        ),
    ]
    return int(any(row.out > _AT_ONCE for row in rows))


def main() -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory(prefix="mig-k8s-bench-") as folder:
        return measured(_NAME, "times of changes", lambda: measure(CommandLine(_NAME), Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
