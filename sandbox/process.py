"""Processes that outlive the one that started them: known by pid *and* start time, ended by that and nothing else."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox.error import SandboxError

_REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class ProcessId:
    """``started`` is clock ticks after the kernel's boot: a recycled pid has another."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """The process of this pid; None if there is none, or it is dead and only waits for its parent."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    @classmethod
    def me(cls) -> "ProcessId":
        found = cls.of(os.getpid())
        if found is None:
            raise SandboxError("/proc is not mounted, or belongs to another pid namespace")
        return found

    @classmethod
    def read(cls, path: Path) -> "ProcessId | None":
        """The process a pid file names, if it still lives."""
        try:
            pid, started = (int(word) for word in path.read_text().split())
        except FileNotFoundError:
            return None
        found = cls.of(pid)
        return found if found is not None and found.started == started else None

    @property
    def command(self) -> str:
        """The first words of its command line, for people; empty once it is gone."""
        try:
            words = Path(f"/proc/{self.pid}/cmdline").read_text(errors="replace").split("\0")
        except OSError:
            return ""
        return " ".join([words[0].rsplit("/", 1)[-1], *words[1:3]]).strip()

    def write(self, path: Path) -> None:
        draft = path.with_name(path.name + ".new")
        draft.write_text(f"{self.pid} {self.started}\n")
        draft.replace(path)

    def send(self, number: signal.Signals | int) -> None:
        """Send a signal. Nothing happens if the process is gone."""
        handle = self._handle()
        if handle is not None:
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                pass
            finally:
                os.close(handle)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; True once it has ended."""
        handle = self._handle()
        if handle is None:
            return True
        try:
            return bool(select.select([handle], [], [], seconds)[0])
        finally:
            os.close(handle)

    def kill(self, seconds: float = 10) -> None:
        """SIGKILL and wait. Raises SandboxError if it is still there after ``seconds`` (stuck in the kernel)."""
        self.send(signal.SIGKILL)
        if not self.wait(seconds):
            raise SandboxError(f"process {self.pid} did not end within {seconds:.0f} s of SIGKILL")

    def _handle(self) -> int | None:
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if ProcessId.of(self.pid) == self:  # looked at after opening: the handle is of this very process
            return handle
        os.close(handle)
        return None


def started_with(variable: str) -> Iterator[tuple[ProcessId, str]]:
    """(process, value) for every process of this host that was started with this variable in its environment.

    Those of others, which may not be looked into, are left out, and so are this one and the ones it was started by.
    """
    own, mark = _own_line(), f"{variable}=".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        process = ProcessId.of(int(folder.name))
        if process is None or process.pid in own:
            continue
        try:
            held = (folder / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is another user's
            continue
        for entry in held.split(b"\0"):
            if entry.startswith(mark):
                yield process, os.fsdecode(entry.removeprefix(mark))
                break


def _own_line() -> set[int]:
    """This process and those it descends from, as far as /proc shows them."""
    line, pid = set(), os.getpid()
    while pid:
        line.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return line


def run(argv: Sequence[str], *, timeout: float = 60, stdin: bytes = b"") -> str:
    """Standard output. Raises SandboxError with the program's last words if it fails or outlasts ``timeout``."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout, check=False)
    except FileNotFoundError:
        raise SandboxError(f"{argv[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise SandboxError(f"{' '.join(argv)}: no end after {timeout:.0f} s") from None
    if done.returncode != 0:
        words = (done.stderr or done.stdout).decode(errors="replace").strip()[-2000:]
        raise SandboxError(f"{' '.join(argv)}: exit status {done.returncode}\n{words}")
    return done.stdout.decode(errors="replace")


def detach(
    module: str, arguments: Sequence[str], *, log: Path, wrapper: Sequence[str] = (), timeout: float = 30
) -> None:
    """Start ``python -m module FD ARGUMENTS…`` in a session of its own; returns once it has written to FD: it is ready.

    ``wrapper`` comes before the interpreter (``nsenter …``). Raises SandboxError with the end of ``log`` if it ends or
    says nothing within ``timeout`` seconds. The caller is not its parent, so nobody has to wait for it. Nothing of an
    engine's environment goes with it: whoever ends what an engine left would end it too.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    ready, theirs = os.pipe()
    try:
        with log.open("ab") as output:
            subprocess.run(
                ["setsid", "--fork", *wrapper, sys.executable, "-m", module, str(theirs), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs],
                cwd="/",
                env={**environment, "PYTHONPATH": str(_REPOSITORY)},
                check=True,
            )
        os.close(theirs)
        theirs = -1
        spoke = bool(select.select([ready], [], [], timeout)[0])
        if not spoke or not os.read(ready, 1):
            seen = "it ended" if spoke else f"nothing for {timeout:.0f} s"
            raise SandboxError(f"{module} did not start: {seen}. The end of {log}:\n{tail(log)}")
    finally:
        os.close(ready)
        if theirs != -1:
            os.close(theirs)


def announce(descriptor: int) -> None:
    """The other side of `detach`: say that the process is ready, which goes on if whoever started it is gone."""
    with suppress(BrokenPipeError):
        os.write(descriptor, b"\n")
    os.close(descriptor)


def tail(log: Path, lines: int = 12) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no such file)"
