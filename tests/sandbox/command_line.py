"""A sandbox as a person at the command line has it: `python -m sandbox --name NAME COMMAND`, and what it prints."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox import clients
from sandbox.error import SandboxError
from sandbox.host import cgroup
from sandbox.instance import Sandbox, default_root
from sandbox.process import ProcessId

CHECKOUT = Path(__file__).resolve().parents[2]
NODE = "mlops-k8s-master"


@dataclass(frozen=True)
class CommandLine:
    """Every command is bounded: a hang is a failure that shows what was said so far."""

    name: str
    said: list[str] = field(default_factory=list)
    """What the commands that bring a stack up printed, output and errors together."""
    stacks: list[str] = field(default_factory=list)
    """The stack files that it brought up."""

    @property
    def root(self) -> Path:
        return default_root(self.name)

    @property
    def sandbox(self) -> Sandbox:
        return Sandbox.load(self.root)

    def up(self, stack: Path, *more: str, previewed: bool = False, seconds: float = 240) -> str:
        """Bring it up. A preview before it takes as long again, and tests/engine previews each kind of change."""
        said = self.run("up", str(stack), *([] if previewed else ["--skip-preview"]), *more, seconds=seconds)
        self.stacks.append(stack.read_text())
        return said

    def run(self, *arguments: str, status: int = 0, seconds: float = 60) -> str:
        """Output and errors, in the order they came."""
        with self.started(*arguments) as process:
            try:
                said, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                try:
                    said, _ = process.communicate(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    said, _ = process.communicate()
                raise AssertionError(f"{arguments}: no end after {seconds:.0f} s:\n{said}") from None
        self.said.append(said)
        assert process.returncode == status, f"{arguments}: exit status {process.returncode}\n{said}"
        return said

    def started(self, *arguments: str) -> "subprocess.Popen[str]":
        """A command that runs. It ends with its test, also where that is killed: `sandbox-clean` would wait for it."""
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "sandbox", "--name", self.name, *arguments],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def output(self, name: str) -> Any:  # noqa: ANN401 - what JSON holds
        """One of the stack's outputs."""
        return json.loads(self._quiet("pulumi", "stack", "output", "--json", name))

    def get(self, *arguments: str) -> Any:  # noqa: ANN401
        return json.loads(self._quiet("kubectl", "get", *arguments, "-o", "json"))

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self._quiet("kubectl", *arguments, stdin=stdin)

    def eventually(self, what: str, *kubectl: str, seconds: float) -> str:
        """What kubectl says once it works; `what` is said when that takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(AssertionError):
                return self.kubectl("--request-timeout=5s", *kubectl)
        raise AssertionError(f"not within {seconds:.0f} s: {what}")

    def ssh(self, command: str, *, stdin: str = "", statuses: tuple[int, ...] = (0,), machine: str = NODE) -> str:
        return self._quiet("ssh", "-o", "BatchMode=yes", machine, command, stdin=stdin, statuses=statuses)

    def gpu_resources(self) -> dict[str, str]:
        """What of NVIDIA's the API server calls allocatable. 0 is as good as absent."""
        allocatable = self.get("node", NODE)["status"]["allocatable"]
        return {name: count for name, count in allocatable.items() if name.startswith("nvidia.com/") and count != "0"}

    def labels(self) -> dict[str, str]:
        """NVIDIA's labels on the node."""
        labels = self.get("node", NODE)["metadata"]["labels"]
        return {name: value for name, value in labels.items() if name.startswith("nvidia.com/")}

    def mig_devices(self) -> dict[str, str]:
        """UUID → profile, as the machine's own nvidia-smi lists them."""
        listed = self.ssh("nvidia-smi -L")
        return {
            uuid: name for name, uuid in re.findall(r"^  MIG (\S+) +Device +\d+: \(UUID: (MIG-\S+)\)", listed, re.M)
        }

    def boot_id(self) -> str:
        return self.ssh("cat /proc/sys/kernel/random/boot_id").strip()

    def traces(self) -> dict[str, list[str]]:
        """Everything on this host with the sandbox's name: found by looking everywhere, not where it keeps things."""
        processes = [path.parent for path in Path("/proc").glob("[0-9]*/stat")]
        mark = re.compile(rf"mk8s-{re.escape(self.name)}\b|{re.escape(str(self.root))}\b")
        links = "".join(_read(path) for path in Path("/sys/class/net").glob("*/ifalias"))
        return {
            "processes": [
                process.name
                for process in processes
                if mark.search("".join(_read(process / name) for name in ("cmdline", "environ", "cgroup")))
                and ProcessId.of(int(process.name))
            ],
            "mounts": [process.name for process in processes if mark.search(_read(process / "mountinfo"))],
            "groups": [path for top in cgroup.hierarchies() for path, _, _ in os.walk(top) if mark.search(path)],
            "namespaces": [path.name for path in Path("/run/netns").glob("*") if mark.search(path.name)],
            "links": [line for line in links.splitlines() if mark.search(line)],
            "files": [str(path) for path in (self.root, *Path("/run").rglob(f"*{self.name}*")) if path.exists()],
        }

    def _quiet(self, client: str, *rest: str, stdin: str = "", statuses: tuple[int, ...] = (0,)) -> str:
        """What a client says by itself, as `python -m sandbox` becomes it: ten calls are a second less of Python."""
        try:
            words, variables = clients.command(clients.opened(self.name), client, rest)
        except SandboxError as error:
            raise AssertionError(f"{client} {' '.join(rest)}: {error}") from None
        done = subprocess.run(
            words, cwd=CHECKOUT, env=variables, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode in statuses, f"{words}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def own_sandbox(obstacle: str | None, name: str, *, destroyed: bool = False) -> Iterator[CommandLine]:
    """A person at a sandbox that only one file of tests has, `name`; it ends with them, however they end.

    `destroyed`: by the engine. Else its machines are ended without it, which is quicker.
    """
    if obstacle is not None:
        pytest.skip(f"no machine can boot here: {obstacle}")
    person = CommandLine(f"test-{os.getpid()}-{name}")
    try:
        yield person
    finally:
        if not destroyed:
            (person.root / "stack.yaml").unlink(missing_ok=True)
        person.run("down", seconds=120)


def wait_for_line(process: "subprocess.Popen[str]", words: str, seconds: float) -> None:
    """Read what a command prints until it has said `words`; a command that hangs silently is killed, and that fails."""
    deadline = time.monotonic() + seconds
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return
        assert time.monotonic() < deadline, f"no `{words}` after {seconds:.0f} s:\n{''.join(said)}"
    raise AssertionError(f"it ended without `{words}`:\n{''.join(said)}")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it ended meanwhile, or is about to
        return ""
