"""What the one address of a cluster tells while something happens: which nodes are out, how long it is silent."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from command_line import CommandLine

from sandbox.host import access

_ASK_SECONDS = 1


@dataclass
class ApiWatch:
    """What was seen. `out`: nodes that were cordoned, not Ready or gone, at each answer; `silent`: seconds."""

    person: CommandLine
    known: set[str]
    out: list[frozenset[str]] = field(default_factory=list)
    silent: float = 0

    def most_out(self, nodes: set[str]) -> int:
        """How many of these were out together."""
        return max((len(each & nodes) for each in self.out), default=0)

    def ever_out(self) -> set[str]:
        """All that were out once."""
        return set().union(*self.out)

    def ask_until(self, done: threading.Event) -> None:
        """Ask again and again, each time by a connection of its own."""
        answered = time.monotonic()
        while not done.wait(_ASK_SECONDS):
            if (nodes := self._well()) is not None:
                self.out.append(frozenset(self.known - nodes))
                answered = time.monotonic()
            self.silent = max(self.silent, time.monotonic() - answered)

    def _well(self) -> set[str] | None:
        """The nodes that can take pods; None without an answer."""
        root = self.person.root
        command = [
            str(root / "bin/kubectl"),
            "--kubeconfig",
            str(access.kubeconfig(root)),
            "get",
            "nodes",
            "-o",
            "json",
        ]
        asked = subprocess.run(
            [*command, "--request-timeout=3s"], capture_output=True, text=True, timeout=20, check=False
        )
        if asked.returncode:
            return None
        return {
            node["metadata"]["name"]
            for node in json.loads(asked.stdout)["items"]
            if not node["spec"].get("unschedulable")
            and any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"]["conditions"])
        }


@contextmanager
def watched_by_api(person: CommandLine) -> Iterator[ApiWatch]:
    """Watch the nodes that there are now, in here."""
    watch = ApiWatch(person, {node["metadata"]["name"] for node in person.get("nodes")["items"]})
    done = threading.Event()
    asking = threading.Thread(target=watch.ask_until, args=(done,))
    asking.start()
    try:
        yield watch
    finally:
        done.set()
        asking.join(timeout=30)
