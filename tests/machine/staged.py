"""A machine whose stages do what the test says, and a systemd that runs its converge."""

import dataclasses
import json
import textwrap
from collections.abc import Callable
from pathlib import Path

from a_machine import DESIRED, SECOND_BOOT, AMachine, Systemd

from machine import command_line
from machine.converge import records
from machine.converge.run import converge
from machine.documents.configuration import Configuration
from machine.documents.desired_state import DesiredState
from machine.documents.result import Outcome, Result, StageResult
from machine.host.program import Ended

STAGES = ("apt", "driver", "fabric-manager", "toolkit", "mig-mode", "rke2-download", "rke2")
BESIDE = "rke2-download"
"""The one that runs while others do."""
RUN = tuple(name for name in STAGES if name not in ("fabric-manager", BESIDE))
"""Those that run in turn, with work to do on the machine of the tests, whose GPUs no NVSwitch joins."""
CONVERGE = "mig-k8s-converge.service"


class WentDownError(BaseException):
    """The machine has rebooted: everything that ran on it has ended."""


class StagedSystemd(Systemd):
    """systemd that runs a unit's converge at once, in process, and whose reboot ends it."""

    def __init__(self, folder: Path, machine: "StagedMachine") -> None:
        super().__init__(folder)
        self.machine = machine
        self.goes_down = True
        self.on_reboot: Callable[[], None] = lambda: None

    def answer(self, command: tuple[str, ...], stdin: str) -> Ended:
        verb = command[1]
        if verb not in ("enable", "daemon-reload", "reboot") and command[1:] != ("start", CONVERGE):
            return super().answer(command, stdin)
        with (self.folder / "calls").open("a", encoding="utf-8") as calls:
            calls.write(f"systemctl {' '.join(command[1:])}\n")
        if verb == "start" and CONVERGE in self.facts()["broken"]:
            return Ended(command, 1, "", "Failed to start it: Unit is masked.\n")
        if verb == "start":
            self._converge()
        if verb == "reboot":
            if not self.goes_down:
                return Ended(command, 1, "", "Failed to connect to bus\n")
            self.on_reboot()
            raise WentDownError
        return Ended(command, 0, "", "")

    def _converge(self) -> None:
        try:
            command_line.main(["converge"], self.machine)
        except WentDownError:  # the unit's process has ended; a follower has not yet
            return


@dataclasses.dataclass(frozen=True)
class StagedMachine(AMachine):
    """Stages succeed at once, by default. Programs on its PATH take the place of those that are answered in process."""

    systemd: StagedSystemd = dataclasses.field(init=False)

    @classmethod
    def below(cls, folder: Path, **environment: str) -> "StagedMachine":
        made = dataclasses.replace(super().below(folder, **environment), release=folder / "release")
        assert isinstance(made, cls)
        if not made.release.exists():
            for name in STAGES:
                made.stage(name, f"echo done {name} is well")
            made.write("etc/rancher/rke2/config.yaml", "cni: calico\n", 0o600)
        return made

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "systemd", StagedSystemd(self.folder / "state/systemd", self))
        self.answers["systemctl"] = self.systemd.answer

    def run(self, *command: str, seconds: float = 120, stdin: str = "") -> Ended:
        if (self.programs / command[0]).exists():
            self.answers.pop(command[0], None)
        return super().run(*command, seconds=seconds, stdin=stdin)

    def stage(self, name: str, body: str) -> None:
        """A stage script; every run is a line of `runs`, or of `runs-beside`."""
        path = self.release / "stages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        runs = "runs-beside" if name == BESIDE else "runs"
        script = f'#!/bin/sh\necho {name} >>"$STATE/{runs}"\n{textwrap.dedent(body)}\n'
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)

    def runs(self, *, beside: bool = False) -> list[str]:
        """Stages in the order they ran since the last question: those that run in turn, or those beside them."""
        path = self.state / ("runs-beside" if beside else "runs")
        names = path.read_text(encoding="utf-8").split() if path.exists() else []
        path.unlink(missing_ok=True)
        return names

    def converge(self) -> int:
        """One run, as the service does it."""
        return converge(self)

    def command(self, *words: str) -> int:
        """A command line, in process; the exit code."""
        return command_line.main(words, self)

    def result(self) -> Result:
        return records.read(self)

    def outcomes(self) -> dict[str, Outcome]:
        """The outcomes of the stages that run in turn: how far the other one is at a moment nobody can tell."""
        return {stage.name: stage.outcome for stage in self.result().stages if stage.name != BESIDE}

    def record(self, stage: str) -> StageResult:
        found = self.result().of(stage)
        assert found is not None, f"no record of {stage}"
        return found

    def reason(self, stage: str) -> str:
        return self.record(stage).reason

    def next_boot(self) -> None:
        """Reboot the machine."""
        self.path("run/nologin").unlink(missing_ok=True)
        self.boot(SECOND_BOOT)


def configuration(
    *,
    token: str | None = None,
    agent_token: str | None = None,
    node_password: str | None = None,
    rke2_config: str = "cni: calico\n",
    **changes: object,
) -> str:
    """What `update` reads: DESIRED with other sections."""
    desired = DesiredState.from_json(json.dumps({**DESIRED, **changes}))
    return Configuration(desired, rke2_config, token, agent_token, node_password).to_json()
