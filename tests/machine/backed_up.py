"""A server whose datastore is saved and restored: RKE2 as far as that needs it, with etcd as a folder of one file."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from a_machine import NAME
from killable_machine import KillableMachine

from machine.converge.run import LOCK
from machine.documents.backup import Backup, Restore, packed
from machine.host import lock
from machine.host.program import Ended

TOKEN = "the stack's token"
CONTENT = b"what the cluster was"
DATABASE = "var/lib/rancher/rke2/server/db/etcd"
_RKE2 = """
root=$STATE/../root data=$STATE/../root/var/lib/rancher/rke2/server
case "$1 $2" in
  --version*) echo "rke2 version v1.35.7+rke2r1 (abcdef)" ;;
  "etcd-snapshot save")
    if [ -f "$STATE/no-snapshot" ]; then cat "$STATE/no-snapshot" >&2; exit 1; fi
    folder=$root/$(cat "$STATE/snapshots" 2>/dev/null || echo var/lib/rancher/rke2/server/db/snapshots)
    mkdir -p "$folder"; cat "$data"/db/etcd/* >"$folder/$4-mlops-k8s-master-1"
    [ ! -f "$STATE/new-token" ] || mv "$STATE/new-token" "$data/token" ;;
  "server --cluster-reset")
    if [ -f "$data/db/reset-flag" ]; then echo "was previously reset" >&2; exit 1; fi
    if [ -f "$STATE/refuses" ]; then cat "$STATE/refuses" >&2; exit 1; fi
    cp "$5" "$STATE/reset-config"
    rm -rf "$data/db/etcd"; mkdir -p "$data/db/etcd"; touch "$data/db/reset-flag"
    cat "${3#*=}" >"$data/db/etcd/restored" ;;
esac
"""


def backup(content: bytes = CONTENT, **changes: str) -> Backup:
    values = {"node": NAME, "taken": "2026-11-25T10:00:00Z", "release": "v1.35.6+rke2r1", "token": TOKEN, "file": "s-1"}
    sha256, snapshot = packed(content)
    return Backup(**{**values, "sha256": sha256, "snapshot": snapshot, **changes})


def order(saved: Backup | None = None, nodes: list[str] | None = None, **changes: str) -> str:
    """What `restore` reads."""
    return Restore(NAME, tuple(nodes or [NAME]), saved or backup(**changes)).to_json()


@dataclass(frozen=True)
class BackedUp(KillableMachine):
    """A server that runs, with this token, and a datastore."""

    @classmethod
    def below(cls, folder: Path, **environment: str) -> "BackedUp":
        made = super().below(folder, **environment)
        assert isinstance(made, cls)
        if not made.path(DATABASE).exists():
            made.join("server")
            made.write(f"{DATABASE}/data", "the datastore")
            made.write("etc/rancher/rke2/config.yaml", "node-ip: 10.60.0.4\n", 0o600)
            made.write("etc/rancher/rke2/token", f"{TOKEN}\n", 0o600)
            made.write("var/lib/rancher/rke2/server/token", f"K10abc::server:{TOKEN}\n", 0o600)
            made.program("rke2", _RKE2)
            made.path("usr/local/bin").mkdir(parents=True)
            made.path("usr/local/bin/rke2").symlink_to(made.programs / "rke2")
        return made

    def story(self) -> list[str]:
        """What was done to the cluster here, in order."""
        path = self.state / "story"
        return path.read_text().splitlines() if path.exists() else []

    def run(self, *command: str, seconds: float = 120, stdin: str = "") -> Ended:
        ended = super().run(*command, seconds=seconds, stdin=stdin)
        words = " ".join((Path(command[0]).name, *command[1:]))
        told = {
            "rke2 etcd-snapshot save": f"save {command[-1]}",
            "rke2 server --cluster-reset": "reset",
            "systemctl stop rke2-": "stop",
            "systemctl start rke2-": "start",
            "systemctl restart rke2-": "restart",
        }
        for beginning, word in told.items():
            if words.startswith(beginning) and not (word == "reset" and "in use" in ended.stderr):
                with (self.state / "story").open("a") as story:
                    story.write(f"{word}\n")
        return ended

    def forgotten(self) -> list[str]:
        """The Secrets that were to be deleted, if they are there."""
        asked = [call.split() for call in self.api.calls() if " delete secret " in f" {call} "]
        return [word for words in asked for word in words if word.endswith(".node-password.rke2")]

    @contextlib.contextmanager
    def converging(self) -> Iterator[None]:
        """While another run is under way."""
        with lock.held(self.path(LOCK), self.clock, seconds=0):
            yield
