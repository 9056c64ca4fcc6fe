"""Which nodes are out (cordoned, or not Ready) while something happens: each change that the API tells, none missed."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from command_line import CommandLine

_CHANGES = "jsonpath={.metadata.name} {.status.conditions[?(@.type=='Ready')].status} {.spec.unschedulable}{\"\\n\"}"


@dataclass
class NodesOut:
    """What was seen. `most`: the largest set of nodes that were out together; `ever`: all that were out once."""

    now: set[str] = field(default_factory=set)
    most: set[str] = field(default_factory=set)
    ever: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        """One change of a node, such as `gpu True true`."""
        self.seen.append(line)
        name, ready, *unschedulable = line.split()
        is_out = ready != "True" or unschedulable == ["true"]
        self.now = self.now | {name} if is_out else self.now - {name}
        self.ever |= self.now
        if len(self.now) > len(self.most):
            self.most = set(self.now)


@contextmanager
def watched(person: CommandLine) -> Iterator[NodesOut]:
    """Watch the nodes in here."""
    found = NodesOut()
    with person.started("kubectl", "get", "nodes", "--watch", "-o", _CHANGES) as process:
        reader = threading.Thread(target=_read, args=(process, found))
        reader.start()
        try:
            yield found
            assert process.poll() is None, f"the watch has ended: {found.seen}"
        finally:
            process.terminate()
            process.wait(timeout=20)
            reader.join(timeout=20)


def _read(process: "subprocess.Popen[str]", found: NodesOut) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if len(line.split()) in (2, 3):
            found.hear(line.strip())
