"""The machine that a command runs on, as the argument everything gets: where its files lie, its programs, its clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from machine.documents import desired_state
from machine.documents.desired_state import DesiredState
from machine.documents.form import DocumentError
from machine.host import program
from machine.host.clock import Clock
from machine.host.errors import UsageError
from machine.host.program import Ended

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}
"""What programs are run with: what they do must not depend on who called us."""


@dataclass(frozen=True)
class ThisMachine:
    """A machine. Tests give a root directory, an environment and a clock of their own."""

    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)
    clock: Clock = field(default_factory=Clock)
    release: Path = field(default=Path(__file__).resolve().parents[2], kw_only=True)
    """The release of mig-k8s whose code runs: its stages and units, whatever has become the current one since."""

    def path(self, absolute: str) -> Path:
        """Where a file of the machine lies: `/etc/hosts` below its root."""
        return self.root / absolute.lstrip("/")

    def run(self, *command: str, seconds: float = 120, stdin: str = "") -> Ended:
        """Run a program of the machine; see `machine.host.program.run`."""
        return program.run(command, environment=self.environment, seconds=seconds, stdin=stdin)

    def systemctl(self, *arguments: str, seconds: float = 120) -> Ended:
        """Run systemctl; a hang is a failure like any other."""
        return self.run("systemctl", *arguments, seconds=seconds)

    def active_units(self, *units: str) -> list[str]:
        """The units, of these, that run or are about to run."""
        states = self.systemctl("is-active", *units).stdout.split()
        return [unit for unit, state in zip(units, states, strict=False) if state in ("active", "activating")]

    def boot_id(self) -> str:
        """Which boot this is, as the kernel and Kubernetes' nodeInfo say it."""
        return self.path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def desired_state(self) -> DesiredState:
        """What this machine was told to be. Raises UsageError when that file is missing or not understood."""
        path = self.path(desired_state.PATH)
        try:
            return DesiredState.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(f"{path} is missing: this machine was not told what to be. Run `pulumi up`.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {error}") from None
        except DocumentError as error:
            raise UsageError(f"{path}: {error}") from None

    def must_be(self, *names: str) -> None:
        """Check that this machine is one of these, for which something came over SSH. Raises UsageError if not."""
        own = self.node_name()
        if own is not None and own not in names:
            raise UsageError(
                f"this machine is {own}, and what came is for {', '.join(names)}: nothing was changed. The address that"
                " was dialled may have been given to another machine: `pulumi refresh`, then `pulumi up`"
            )

    def node_name(self) -> str | None:
        """The name of its Kubernetes node; None while that is not known."""
        try:
            return self.desired_state().node.name
        except UsageError:
            return None
