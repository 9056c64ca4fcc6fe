"""A stack whose `up` is killed with -9 at each thing it does, first and later: one command each time, and it goes on.

The real CLI, over real SSH, machines of loopback_cloud.py; what is done stops where held.py says.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from held import Held
from person import Person

from sandbox.process import ProcessId, started_with

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
SERVER, AGENT = "mlops-k8s-master", "gpu"
NODE_POOL = {"vmSize": "Standard_NC24ads_A100_v4", "migDevices": {"1g.10gb": 7}}
NOTHING = "nothing was interrupted: there is nothing to do\n"


@dataclass
class Runs:
    """Runs of `pulumi up` that are killed, one after the other."""

    person: Person
    killed: list[str] = field(default_factory=list)
    """What was done, and not noted, when one of them was killed."""
    said: list[str] = field(default_factory=list)
    """What `make recover` said after each."""

    def until_done(self, last: str = "") -> None:
        """Kill every run at the first thing that none was killed at; recover; again, until one comes to its end.

        `last`: what the last one is killed at.
        """
        held = Held(self.person.environment.root)
        try:
            while last not in self.killed and (at := self._killed_run(held)):
                self.killed += at
                self.said.append(recover(self.person))
                assert self.said[-1].endswith("the next `pulumi up` goes on from here\n"), (at, self.said[-1])
                assert unnoted(self.person) == set(), at
        finally:
            held.end()

    def _killed_run(self, held: Held) -> list[str]:
        command = ["pulumi", "up", "--yes", "--skip-preview", "--stack", "prod"]
        log = self.person.checkout / "said"
        with (
            log.open("w") as said,
            subprocess.Popen(
                [*self.person.namespace, *command],
                cwd=self.person.checkout,
                env=self.person.variables,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            with ended(process) as end:
                at = held.next(end, seconds=120)
            if not at:
                assert process.wait(20) == 0, log.read_text()
                assert "pending operations" not in log.read_text()
                return []
            process.kill()
        end_plugins(self.person.environment.root)
        # What was begun on a machine goes on there: it must not be taken for something of the next run.
        return at + held.late(lambda: commands_run(self.person.environment.root), seconds=20)


def commands_run(root: Path) -> bool:
    """Whether a machine runs a command: has a child."""
    machines = filter(None, map(ProcessId.read, root.glob("machines/*/machine.pid")))
    for file in (file for machine in machines for file in Path(f"/proc/{machine.pid}/task").glob("*/children")):
        try:
            if file.read_text():
                return True
        except OSError:  # the thread ended meanwhile
            continue
    return False


@contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[int]:
    """What can be read from once the process has ended."""
    handle = os.pidfd_open(process.pid)
    try:
        yield handle
    finally:
        os.close(handle)


def end_plugins(root: Path) -> None:
    """End what a killed engine left, but no machine: those live on, as in Azure."""
    machines = {ProcessId.read(file) for file in (*root.glob("machines/*/machine.pid"), root / "balancer.pid")}
    for process, home in started_with("PULUMI_HOME"):
        if Path(home).is_relative_to(root) and process not in machines:
            process.kill()


def recover(person: Person) -> str:
    return person.run(sys.executable, "-m", "scripts.recover", "prod")


def unnoted(person: Person) -> set[str]:
    """What Azure has and the state does not."""
    known = {each.get("id") for each in state(person).get("resources", [])}
    return {each for each in person.azure() if each not in known}


def state(person: Person) -> dict[str, Any]:
    deployment: dict[str, Any] = json.loads(person.pulumi("stack", "export"))["deployment"]
    return deployment


def test_an_up_that_is_killed_at_each_thing_it_makes_goes_on_after_one_command_each(person: Person) -> None:
    person.run(sys.executable, "-m", "scripts.new_stack", "prod")
    person.link_environment()
    assert recover(person) == NOTHING

    first = Runs(person)
    first.until_done()
    made = set(person.azure())
    kinds = {word.rsplit(" ", 1)[0] for word in first.killed}
    names = {word for word in first.killed if not word.startswith("run ")}
    assert {f"create {SERVER}-vm", f"create {SERVER}-nic", f"create {SERVER}-ip", "install gpu-operator"} <= names
    assert "run /usr/local/sbin/mig-k8s permit-founding on" in kinds
    assert "run /usr/local/sbin/mig-k8s update on" in kinds
    assert "run /usr/local/sbin/mig-k8s verify on" in kinds
    assert [each for each in first.said if "(pending-install) is taken back" in each] != []
    settled(person)
    assert started(person) == [SERVER]
    assert person.releases(person.machines()[SERVER]) == 1

    # A second machine, another layout and another configuration of the operator.
    server = {"name": SERVER, "role": "server", **NODE_POOL, "migDevices": {"3g.40gb": 2}}
    agent = {"name": AGENT, "role": "agent", **NODE_POOL}
    person.edit(nodePools=[server, agent], gpuOperator={"values": {"dcgmExporter": {"enabled": False}}})
    later = Runs(person)
    later.until_done()
    assert made < set(person.azure())
    assert f"create {AGENT}-vm" in later.killed
    assert "upgrade gpu-operator" in later.killed
    assert [each for each in later.said if "(pending-upgrade) counts as deployed" in each] != []
    settled(person)
    assert started(person) == [SERVER, AGENT]

    # A change that is taken out of the stack file again, as it did not end, is taken out of the cluster, too.
    releases = person.releases(person.machines()[SERVER])
    person.edit(gpuOperator={"values": {"dcgmExporter": {"enabled": True}}})
    Runs(person).until_done("upgrade gpu-operator")
    person.edit(gpuOperator={"values": {"dcgmExporter": {"enabled": False}}})
    assert person.preview()["update"] >= {"kubernetes:helm.sh/v3:Release gpu-operator-release"}
    person.up()
    assert person.releases(person.machines()[SERVER]) == releases + 2
    settled(person)


def settled(person: Person) -> None:
    """Nothing is left to do, for nobody."""
    assert recover(person) == NOTHING
    person.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert "pending_operations" not in state(person)


def started(person: Person) -> list[str]:
    """The machines that were ever made, in order."""
    return (person.environment.root / "started").read_text().split()
