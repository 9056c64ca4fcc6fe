"""A machine for the scripts of cloud-init: a root directory of its own and programs on PATH that record calls."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import script_in_process

CLOUD_INIT = Path(__file__).resolve().parents[2] / "cloud-init"
STAGES = ("apt", "driver", "toolkit", "mig-mode", "rke2")
FIRST_BOOT = "11111111-1111-1111-1111-111111111111"
SECOND_BOOT = "22222222-2222-2222-2222-222222222222"

DESIRED: dict[str, Any] = {
    "version": 1,
    "node": {"name": "mlops-k8s-master", "role": "server"},
    "apt": {"ubuntu": None},
    "driver": {"source": "ubuntu", "branch": 580, "openKernelModules": False},
    "toolkit": {"version": "1.20.0-1", "apt": "https://nvidia.github.io/libnvidia-container"},
    "mig": {"mode": [True]},
    "rke2": {
        "version": "v1.35.7+rke2r1",
        "install": "https://get.rke2.io",
        "artifacts": None,
        "sha256": None,
        "role": "server",
        "token": False,
        "cis": False,
    },
}

# The interpreter of the tests, not whatever a version manager puts between; it has nothing but the standard library.
PYTHON = f'#!/bin/sh\nexec {Path(sys.executable).resolve()} -I -S "$@"\n'

# systemd as far as mig-k8s needs it: units start, are active while their process lives, and a reboot ends everything.
SYSTEMCTL = """
    # A process that was killed may be a zombie for a while.
    lives() { [ -f "$STATE/pid" ] && grep -qs '^State:.[^Z]' "/proc/$(cat "$STATE/pid")/status"; }
    case "$1" in
      start)
        if ! lives; then
          setsid "$MIG_K8S_ROOT/usr/local/sbin/mig-k8s" converge >"$STATE/journal" 2>&1 & echo $! >"$STATE/pid"
        fi ;;
      is-active)
        if lives; then echo active; else echo inactive; exit 3; fi ;;
      reboot)
        [ -f "$STATE/no-reboot" ] && { echo "Failed to connect to bus" >&2; exit 1; }
        rm -rf "$MIG_K8S_ROOT/run"
        mkdir -p "$MIG_K8S_ROOT/run"
        echo 22222222-2222-2222-2222-222222222222 >"$MIG_K8S_ROOT/proc/sys/kernel/random/boot_id"
        kill -9 $PPID ;;
    esac
"""


class Machine:
    """A root directory, stub programs, and the scripts under test in their places."""

    def __init__(self, path: Path) -> None:
        self.root = path / "root"
        self.programs = path / "programs"
        self.state = path / "state"
        for folder in (self.root, self.programs, self.state):
            folder.mkdir()
        self.programs.joinpath("python3").write_text(PYTHON, encoding="utf-8")
        self.programs.joinpath("python3").chmod(0o755)
        self.boot(FIRST_BOOT)
        self.desired()
        for name in ("mig-k8s", "mig-apply", "mig-verify"):
            self.copy(f"sbin/{name}", f"usr/local/sbin/{name}")
        self.environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "MIG_K8S_ROOT": str(self.root),
            "STATE": str(self.state),
            "HOME": str(path),
        }

    def write(self, name: str, content: str, mode: int = 0o644) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)
        return path

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def mode(self, name: str) -> str:
        return oct(stat.S_IMODE((self.root / name).stat().st_mode))

    def copy(self, source: str, target: str) -> None:
        self.write(target, (CLOUD_INIT / source).read_text(encoding="utf-8"), 0o755)

    def boot(self, boot_id: str) -> None:
        self.write("proc/sys/kernel/random/boot_id", boot_id + "\n")

    def desired(self, **changes: object) -> None:
        self.write("etc/mig-k8s/desired.json", json.dumps({**DESIRED, **changes}), 0o600)
        self.write("etc/rancher/rke2/config.yaml", "cni: calico\n", 0o600)

    def program(self, name: str, body: str) -> None:
        """A program on PATH; every call is a line of `calls`."""
        path = self.programs / name
        script = f'#!/bin/bash\necho "{name} $*" >>"$STATE/calls"\n{textwrap.dedent(body)}\n'
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)

    def stage(self, name: str, body: str) -> None:
        """A stage script in place of the real one; every run is a line of `runs`."""
        script = f'#!/bin/bash\necho {name} >>"$STATE/runs"\n{textwrap.dedent(body)}\n'
        self.write(f"usr/local/lib/mig-k8s/stages/{name}", script, 0o755)

    def calls_path(self) -> Path:
        return self.state / "calls"

    def calls(self, beginning: str = "") -> list[str]:
        path = self.calls_path()
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(beginning)]

    def runs(self) -> list[str]:
        """Stages in the order they ran since the last question."""
        path = self.state / "runs"
        names = path.read_text(encoding="utf-8").split() if path.exists() else []
        path.unlink(missing_ok=True)
        return names

    def run(
        self, *command: str, stdin: str = "", seconds: float = 60, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        if command[0].startswith("mig-"):
            command = (str(self.root / "usr/local/sbin" / command[0]), *command[1:])
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            env={**self.environment, **(environment or {})},
            check=False,
        )

    def call(self, program: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """As `run`, for programs that are Python and are not killed on the way."""
        return script_in_process.call(self.root / "usr/local/sbin" / program, arguments, stdin, self.environment)

    def result(self) -> dict[str, Any]:
        return dict(json.loads(self.read("var/lib/mig-k8s/result.json")))

    def outcomes(self) -> dict[str, str]:
        return {stage["name"]: stage["outcome"] for stage in self.result()["stages"]}

    def reason(self, stage: str) -> str:
        (record,) = [record for record in self.result()["stages"] if record["name"] == stage]
        return str(record["reason"])

    def end(self) -> None:
        """End a converge that still runs; a process that was ended may be a zombie of nobody's."""
        path = self.state / "pid"
        if path.exists():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(path.read_text(encoding="ascii")), signal.SIGKILL)
