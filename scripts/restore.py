"""Make the cluster of a stack what it was when a backup was taken, on the machines that the stack has now.

    make restore NAME=prod FILE=prod.backup CONFIRM=prod [WITHOUT=server-1] [TAKE_TOKEN=1] [SSH_KEY=~/.ssh/id_ed25519]

Everything is asked before anything is changed; without CONFIRM it ends there. Where it was cut off, the same command
goes on.
"""

import argparse
import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from machine.documents.backup import Backup, Rejoin, Restore, Restored, digest_of
from machine.documents.form import Document, DocumentError
from scripts import sealed_file
from scripts.stack import NO_WAY_IN, Machine, Stack, StackError, older_release

_TOKEN = "mig-k8s:rke2Token"  # noqa: S105 - where it stands


def main(arguments: list[str]) -> int:
    """Restore, say what is next, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.restore", description="Restore a cluster from a backup.")
    parser.add_argument("stack", metavar="STACK", help="name of a stack of yours, which is up")
    parser.add_argument("file", metavar="FILE", help="what `make backup` wrote")
    parser.add_argument(
        "--confirm", default="", metavar="STACK", help="the stack's name again: what it has now is lost"
    )
    words = "a server that does not answer and never will; may be repeated"
    parser.add_argument("--without", action="append", default=[], metavar="SERVER", help=words)
    parser.add_argument("--take-token", action="store_true", help="make the backup's token the stack's, and end there")
    options = parser.parse_args(arguments)
    try:
        return _restore(Stack(options.stack), options)
    except StackError as error:
        print(f"restore: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nrestore: interrupted. Run the same again, it goes on", file=sys.stderr)
        return 130


def _restore(stack: Stack, options: argparse.Namespace) -> int:
    if not options.file:
        raise StackError("what `make backup` wrote is needed: FILE=…")
    file = Path(options.file)
    about = sealed_file.about(file)
    print(
        f"{file}: the cluster of {about['stack']} as {about['node']} had it at {about['taken']},"
        f" RKE2 {about['release']}"
    )
    backup = _read(file, stack)
    if stack.pulumi("config", "get", _TOKEN, secret=True).strip() != backup.token:
        return _take_token(stack, backup, take=options.take_token)
    with stack.machines() as machines:
        known = {machine.name for machine in machines if machine.role == "server"}
        if unknown := sorted(set(options.without) - known):
            raise StackError(f"{', '.join(unknown)} is not a server of {stack.name} (WITHOUT)")
        restoring = Restoring(stack.name, backup, machines, options.without)
        checked = restoring.check()
        if options.confirm != stack.name:
            print(restoring.words())
            print(f"Nothing was changed. CONFIRM={stack.name} does it.")
            return 1
        return restoring.run(checked)


def _read(file: Path, stack: Stack) -> Backup:
    try:
        return Backup.from_json(sealed_file.read(file, stack).decode())
    except (DocumentError, UnicodeDecodeError) as error:
        raise StackError(f"{file}: {error}") from None


def _take_token(stack: Stack, backup: Backup, *, take: bool) -> int:
    if not take:
        raise StackError(
            f"nothing was changed: the backup's cluster has another token than {stack.name}, and only its own opens it."
            " TAKE_TOKEN=1 makes it the stack's; then `pulumi up` takes it to the machines, then this again"
        )
    stack.pulumi("config", "set", "--secret", "--non-interactive", _TOKEN, stdin=backup.token, secret=True)
    print(f"{stack.file.name} has the backup's token now. Next: `pulumi up --stack {stack.name}`, then this again")
    return 0


@dataclasses.dataclass
class Restoring:
    """A restore of a backup on these machines, but those it goes `without`. Methods raise StackError."""

    stack: str
    backup: Backup
    machines: Sequence[Machine]
    without: Sequence[str] = ()
    away: list[str] = dataclasses.field(default_factory=list)
    """Agents that do not answer."""

    def __post_init__(self) -> None:
        there = [machine for machine in self.machines if machine.name not in self.without]
        servers = [machine for machine in there if machine.role == "server"]
        if not servers:
            raise StackError("no server is left to restore on (WITHOUT)")
        self.first, *self.others = servers
        self.agents = [machine for machine in there if machine.role == "agent"]
        nodes = tuple(machine.name for machine in self.machines)
        self.order = Restore(self.first.name, nodes, self.backup)

    def check(self) -> Restored:
        """Ask every machine whether it can be done. Returns how others will join the first one."""
        without_snapshot = dataclasses.replace(self.backup, snapshot="")
        order = dataclasses.replace(self.order, backup=without_snapshot)
        checked = _restored(_ask(self.first, "restore --check", order))
        for machine in (*self.others, *self.agents):
            try:
                _ask(machine, "rejoin --check", self._rejoin(machine))
            except AwayError:
                if machine.role == "server":
                    raise
                self.away.append(machine.name)
        return checked

    def words(self) -> str:
        """What a person has to know before it is done."""
        lines = [
            f"This makes the cluster of {self.stack} what it was then; everything in it that came later is lost.",
            f"  {self.first.name}: RKE2 stops, saves what is there now, and restores. Pods that the backup knows go on",
            *(f"  {machine.name}: leaves its cluster and joins {self.first.name}" for machine in self.others),
            *(f"  {machine.name}: RKE2 restarts" for machine in self.agents if machine.name not in self.away),
            *(f"  {name}: does not answer. When it is back: `sudo systemctl restart rke2-agent`" for name in self.away),
            *(
                f"  {name}: is left out. It must not start again with its old datastore: rebuild it"
                for name in self.without
            ),
            "Pods that it does not know end; GPUs, their MIG mode and instances are left as they are.",
        ]
        return "\n".join(lines)

    def run(self, checked: Restored) -> int:
        """Restore, and return the exit status."""
        for machine in self.others:
            _say(machine, "RKE2 stops")
            _ask(machine, "rejoin --stop", self._rejoin(machine, checked))
        _say(self.first, "restores")
        restored = _restored(_ask(self.first, "restore", self.order))
        for machine in self.others:
            _say(machine, f"joins {self.first.name}")
            _ask(machine, "rejoin", self._rejoin(machine, restored))
        failed = list(self.away)
        for machine in self.agents:
            if machine.name in self.away:
                continue
            _say(machine, "RKE2 restarts")
            try:
                _ask(machine, "rejoin", self._rejoin(machine, restored))
            except StackError as error:
                print(error, file=sys.stderr)
                failed.append(machine.name)
        _ask(self.first, "restore --end", None)
        print(
            f"The cluster of {self.stack} is that of {self.backup.taken}. Next:\n"
            "  `make verify`; on machines that are new, `pulumi up` with its kubeconfig read again first, see\n"
            "  Back up and restore in docs/operations.md"
        )
        for name in failed:
            print(f"  {name} did not come back: `sudo systemctl restart rke2-agent` there", file=sys.stderr)
        return int(bool(failed))

    def _rejoin(self, machine: Machine, restored: Restored | None = None) -> Rejoin:
        known = (restored.restore, restored.address) if restored else ("", "")
        return Rejoin(machine.name, digest_of(self.backup.token), *known)


class AwayError(StackError):
    """A machine does not let this person in."""


def _say(machine: Machine, words: str) -> None:
    print(f"{machine.name}: {words}", flush=True)


def _ask(machine: Machine, subcommand: str, document: Document | None) -> str:
    """What the machine prints. Secrets travel on standard input."""
    command = [*machine.ssh, f"sudo mig-k8s {subcommand}"]
    text = document.to_json() if document else ""
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == NO_WAY_IN:
        raise AwayError(
            f"{machine.name} does not let you in, see above. Start it, or where it is lost for good and a server:"
            f" WITHOUT={machine.name}"
        )
    if done.returncode:
        raise StackError(f"{machine.name}: `mig-k8s {subcommand}` failed, see above{older_release(done.returncode)}")
    return done.stdout


def _restored(text: str) -> Restored:
    try:
        return Restored.from_json(text)
    except DocumentError as error:
        raise StackError(f"the machine's answer is not understood: {error}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
