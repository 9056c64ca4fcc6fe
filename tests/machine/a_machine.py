"""The machine of the tests: a root directory, programs, a clock without real waiting; systemd, Kubernetes in process.

`AMachine` is the ThisMachine that the code under test gets. What it runs is really run, but kubectl and systemctl.
"""

import json
import os
import stat
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes_api import KubernetesApi

from machine.host.clock import Clock
from machine.host.program import Ended
from machine.host.this_machine import ThisMachine

NAME = "mlops-k8s-master"
CHECKPOINT = "var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"
FIRST_BOOT = "11111111-1111-1111-1111-111111111111"
SECOND_BOOT = "22222222-2222-2222-2222-222222222222"
DESIRED: dict[str, Any] = {
    "version": 1,
    "node": {"name": NAME},
    "apt": {"ubuntu": None},
    "driver": {"source": "ubuntu", "branch": 580, "openKernelModules": False},
    "toolkit": {"version": "1.20.0-1", "apt": "https://nvidia.github.io/libnvidia-container"},
    "mig": {"mode": [True], "onChange": "refuse"},
    "rke2": {
        "version": "v1.35.7+rke2r1",
        "artifacts": None,
        "sha256": None,
        "role": "server",
        "cis": False,
    },
}


class FakeClock(Clock):
    """Time that passes only when somebody sleeps. `at` says what happens then."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.events: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        for event in [event for event in self.events if event[0] <= self.now]:
            self.events.remove(event)
            event[1]()

    def utc(self) -> str:
        return "2026-11-26T10:00:00Z"

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        """Let something happen when this many seconds from now have been slept."""
        self.events.append((self.now + seconds, event))


class Systemd:
    """systemd as far as a machine's commands need it. Its units lie in a folder, so that several processes share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "units.json").exists():
            self.set(active=[], starting=[], stuck=[], broken=[], known=[], limited=[])

    def set(self, **facts: list[str]) -> None:
        """`active` units run, `starting` ones do not yet; `stuck` ones do not stop, `broken` ones do not start; `known`
        ones have a unit file and are enabled; `limited` ones were started too often until their count is reset;
        `since`: when an active one became so, in microseconds since the boot."""
        before = self.facts() if (self.folder / "units.json").exists() else {}
        (self.folder / "units.json").write_text(json.dumps({**before, **facts}), encoding="utf-8")

    def facts(self) -> dict[str, list[str]]:
        return dict(json.loads((self.folder / "units.json").read_text(encoding="utf-8")))

    @property
    def active(self) -> list[str]:
        return self.facts()["active"]

    def calls(self, beginning: str = "") -> list[str]:
        path = self.folder / "calls"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(beginning)]

    def forget_calls(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)

    def answer(self, command: tuple[str, ...], _stdin: str) -> Ended:
        """What systemctl ends with."""
        with (self.folder / "calls").open("a", encoding="utf-8") as calls:
            calls.write(f"systemctl {' '.join(command[1:])}\n")
        verb, *units = [word for word in command[1:] if not word.startswith("--")]
        told = self._told(command, verb, units)
        return self._changed(command, verb, units) if told is None else told

    def _told(self, command: tuple[str, ...], verb: str, units: list[str]) -> Ended | None:
        """The answer to a question; None for a call that is not a question."""
        facts = self.facts()
        if verb == "is-active":
            found = {**dict.fromkeys(facts["starting"], "activating"), **dict.fromkeys(facts["active"], "active")}
            states = [found.get(unit, "inactive") for unit in units]
            return Ended(command, 0 if "active" in states else 3, "".join(f"{state}\n" for state in states), "")
        if verb in ("cat", "is-enabled"):
            missing = [unit for unit in units if unit not in facts["known"] + facts["active"]]
            return Ended(command, int(bool(missing)), "", "".join(f"No files found for {unit}.\n" for unit in missing))
        if verb == "show":
            if command[2:4] == ("--property=ActiveEnterTimestampMonotonic", "--value"):
                return Ended(command, 0, f"{''.join(facts.get('since', ['0']))}\n", "")
            assert command[2:4] == ("--property=MainPID", "--value"), command
            return Ended(command, 0, f"{77 if units[0] in facts['active'] else 0}\n", "")
        return None

    def _changed(self, command: tuple[str, ...], verb: str, units: list[str]) -> Ended:
        facts = self.facts()
        if verb == "reset-failed":
            self.set(limited=[unit for unit in facts["limited"] if unit not in units])
            return Ended(command, 0, "", "")
        wrong = {"stop": "stuck", "start": "broken", "restart": "broken"}.get(verb)
        if wrong is None:
            raise NotImplementedError(f"systemctl {verb}")
        unable = facts[wrong] + (facts["limited"] if verb != "stop" else [])
        bad = [unit for unit in units if unit in unable]
        good = [unit for unit in units if unit not in bad]
        after = [unit for unit in facts["active"] if unit not in good] + (good if verb != "stop" else [])
        self.set(active=after, starting=[unit for unit in facts["starting"] if unit not in good])
        return Ended(command, 1 if bad else 0, "", "".join(f"Job for {unit} timed out.\n" for unit in bad))


@dataclass(frozen=True)
class AMachine(ThisMachine):
    """A machine below `folder`: `root`, `programs` on its PATH, `state` of what stands around it."""

    environment: dict[str, str] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=FakeClock)
    folder: Path = Path()
    api: KubernetesApi = field(init=False)
    systemd: Systemd = field(init=False)
    answers: dict[str, Callable[[tuple[str, ...], str], Ended]] = field(init=False)
    """Programs that are answered in process, by their name; a program of the test's own takes its place."""

    @classmethod
    def below(cls, folder: Path, **environment: str) -> "AMachine":
        """A machine that has booted and been told what to be; without GPUs and without Kubernetes."""
        for name in ("root", "programs", "state"):
            (folder / name).mkdir(exist_ok=True)
        path = f"{folder / 'programs'}:{os.environ['PATH']}"
        variables = {"PATH": path, "STATE": str(folder / "state"), **environment}
        made = cls(root=folder / "root", environment=variables, folder=folder)
        if not made.path("/proc/sys/kernel/random/boot_id").exists():
            made.boot(FIRST_BOOT)
            made.desire()
        return made

    def __post_init__(self) -> None:
        object.__setattr__(self, "api", KubernetesApi(self.folder / "state/api", NAME, self.path(CHECKPOINT)))
        object.__setattr__(self, "systemd", Systemd(self.folder / "state/systemd"))
        object.__setattr__(self, "answers", {"kubectl": self.api.answer, "systemctl": self.systemd.answer})

    def run(self, *command: str, seconds: float = 120, stdin: str = "") -> Ended:
        answer = self.answers.get(Path(command[0]).name)
        if answer is None:
            return super().run(*command, seconds=seconds, stdin=stdin)
        if command[0].startswith("/") and not Path(command[0]).exists():
            return Ended(command, 127, "", f"`{command[0]}` cannot be run: No such file or directory")
        return answer(command, stdin)

    # ---- its files

    @property
    def programs(self) -> Path:
        return self.folder / "programs"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def write(self, name: str, content: str, mode: int = 0o644) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)
        return path

    def read(self, name: str) -> str:
        return self.path(name).read_text(encoding="utf-8")

    def mode_of(self, name: str) -> str:
        return oct(stat.S_IMODE(self.path(name).stat().st_mode))

    def boot(self, boot_id: str) -> None:
        self.write("proc/sys/kernel/random/boot_id", boot_id + "\n")

    def desire(self, **changes: object) -> None:
        """Write the desired state: DESIRED with other sections."""
        self.write("etc/mig-k8s/desired.json", json.dumps({**DESIRED, **changes}), 0o600)

    def program(self, name: str, body: str) -> None:
        """A bash program on its PATH, in place of one that is answered in process; every call is a line of `calls`."""
        self.answers.pop(name, None)
        path = self.programs / name
        path.unlink(missing_ok=True)
        script = f'#!/bin/bash\necho "{name} $*" >>"$STATE/calls"\n{textwrap.dedent(body)}\n'
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)

    def says(self, name: str, text: str) -> None:
        """A program that always prints this text. A call from this process starts no other process."""
        self.program(name, f"printf '%s' '{text}'")

        def answer(command: tuple[str, ...], _stdin: str) -> Ended:
            if not (self.programs / name).exists():
                return ThisMachine.run(self, *command)
            with (self.state / "calls").open("a", encoding="utf-8") as calls:
                calls.write(f"{' '.join((name, *command[1:]))}\n")
            return Ended(command, 0, text, "")

        self.answers[name] = answer

    def calls(self, beginning: str = "") -> list[str]:
        """Calls of its own programs, see `program`; kubectl's and systemctl's are with `api` and `systemd`."""
        path = self.state / "calls"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(beginning)]

    def forget_calls(self) -> None:
        """Begin `calls` anew."""
        (self.state / "calls").unlink(missing_ok=True)

    # ---- what stands around it

    def join(self, role: str = "server") -> None:
        """RKE2 is installed and runs: kubectl and a kubeconfig, the administrator's on a server, else the kubelet's."""
        self.write("var/lib/rancher/rke2/bin/kubectl", "", 0o755)
        kubeconfig = {"server": "etc/rancher/rke2/rke2.yaml", "agent": "var/lib/rancher/rke2/agent/kubelet.kubeconfig"}
        self.write(kubeconfig[role], "apiVersion: v1\n", 0o600)
        self.systemd.set(active=[*self.systemd.active, f"rke2-{role}.service"])
