"""From the bare image to ready: the steps of each machine with their seconds, and how often the hypervisor rebooted it.

python -m tests.bench.machine_times            brings a sandbox up for it, and down again; root
python -m tests.bench.machine_times SANDBOX    of one that `make sandbox` or `--name` brought up

Exit code 1 if a machine rebooted more than once. Times come from the machine's own records, which keep when a stage
last did something, and from the engine's state; they are true for the first `up` of a stack.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))

from machine.documents.result import PATH, Result  # noqa: E402 - the checkout is not an installed package
from sandbox import lifecycle  # noqa: E402 - the checkout is not an installed package
from sandbox.engine.environment import Environment  # noqa: E402
from sandbox.host import access  # noqa: E402 - the checkout is not an installed package
from sandbox.instance import Sandbox, default_root  # noqa: E402
from sandbox.process import run  # noqa: E402
from scripts.timeline.machine import CLOUD_INIT, way  # noqa: E402
from scripts.timeline.span import Span  # noqa: E402
from tests.bench.a_sandbox import measured, told  # noqa: E402

TUTORIAL_REBOOTS = 3
"""After the driver, after the host name, after enabling MIG."""
_NAME = "bench"
OF_THE_ENGINE = (("{machine}-mig", "instances"), ("gpu-operator-release", "operator"), ("verification-run", "ready"))
"""Resource → the step that its creation ends."""


def steps(
    machine: str, asked: datetime, cloud_init: str, result: Result, resources: Sequence[Mapping[str, Any]]
) -> list[Span]:
    """The way of a machine in its order, and what the engine does after it; `resources`: those of its state."""
    steps = way(machine, asked, cloud_init, result)
    made = {resource["urn"].rpartition("::")[2]: resource for resource in resources}
    for resource, name in OF_THE_ENGINE:
        known = made.get(resource.format(machine=machine))
        if known is not None:
            moment = datetime.fromisoformat(known["created"])
            steps.append(Span(lane=machine, name=name, begins=max(asked, steps[-1].ends), ends=moment))
    return steps


def table(machine: str, reboots: int, spans: Sequence[Span]) -> str:
    """What is printed of one machine."""
    times = "reboot" if reboots == 1 else "reboots"
    head = f"{machine}: bare image to ready: {reboots} {times} (the tutorial: {TUTORIAL_REBOOTS})"
    asked = spans[0].begins
    lines = [
        f"  {step.name:<13}{step.seconds:7.1f} s   at {(step.ends - asked).total_seconds():6.1f} s" for step in spans
    ]
    return "\n".join([head, *lines])


def resources_of(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The resources of the engine's state."""
    found: list[dict[str, Any]] = Environment(sandbox.root, machines=True).state(secrets=False)["resources"]
    return found


def way_of(sandbox: Sandbox, machine: str, resources: Sequence[Mapping[str, Any]]) -> list[Span]:
    """The way of a machine of a sandbox that is up; `resources` as above."""
    ssh = ["ssh", "-F", str(access.ssh_config(sandbox.root)), machine, "sudo cat"]
    log = run([*ssh, CLOUD_INIT])
    result = Result.from_json(run([*ssh, PATH]))
    (described,) = (path for path in _described(sandbox) if json.loads(path.read_text())["name"] == machine)
    return steps(machine, datetime.fromtimestamp(described.stat().st_mtime, UTC), log, result, resources)


def show(name: str) -> int:
    """Print the tables of a sandbox that is up; the exit code."""
    sandbox = Sandbox.load(default_root(name))
    most, resources = 0, resources_of(sandbox)
    for described in _described(sandbox):
        machine = json.loads(described.read_text())["name"]
        # The supervisor, which is the hypervisor's side, notes every reboot; the machine is not asked.
        reboots = (described.parent / "console.log").read_text(errors="replace").splitlines().count("reboot")
        most = max(most, reboots)
        print(table(machine, reboots, way_of(sandbox, machine, resources)))
    return int(most > 1)


def _described(sandbox: Sandbox) -> list[Path]:
    """The file that describes each machine, which is as old as the machine."""
    return [sandbox.machine_directory(vm_id) / "machine.json" for vm_id in sandbox.machine_ids]


def main(arguments: list[str]) -> int:
    """The exit code."""
    if arguments:
        return told(lambda: show(arguments[0]))

    def brought_up() -> int:
        lifecycle.up(_NAME, _ROOT / "Pulumi.dev.yaml")
        return show(_NAME)

    return measured(_NAME, "machine times", brought_up)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
