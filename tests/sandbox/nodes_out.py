"""Which nodes are out (cordoned, or not Ready) while something happens: each change that the API tells, none missed."""

import subprocess
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from command_line import CommandLine

_CHANGES = "jsonpath={.metadata.name} {.status.conditions[?(@.type=='Ready')].status} {.spec.unschedulable}{\"\\n\"}"


@dataclass
class NodesOut:
    """What was seen. `most`: the largest set of nodes that were out together; `ever`: all that were out once."""

    of: Collection[str]
    """The nodes that are looked at."""
    now: set[str] = field(default_factory=set)
    most: set[str] = field(default_factory=set)
    ever: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        """One change of a node, such as `gpu True true`; kubectl's own words are none."""
        words = line.split()
        if len(words) not in (2, 3) or words[0] not in self.of:
            return
        self.seen.append(line)
        is_out = words[1] != "True" or words[2:] == ["true"]
        self.now = self.now | {words[0]} if is_out else self.now - {words[0]}
        self.ever |= self.now
        if len(self.now) > len(self.most):
            self.most = set(self.now)


@contextmanager
def watched(person: CommandLine, names: Collection[str]) -> Iterator[NodesOut]:
    """Watch these nodes in here; what was seen is told afterwards."""
    found = NodesOut(names)
    with changes(person, "nodes", _CHANGES) as lines:
        yield found
    for line in lines:
        found.hear(line)
    assert {line.split()[0] for line in found.seen} == set(names)


@contextmanager
def changes(person: CommandLine, what: str, form: str) -> Iterator[list[str]]:
    """Every change of objects in here, a line each. While the only API server is away there is none to be missed."""
    lines: list[str] = []
    ended, watch = threading.Event(), _Watch(person, what, form, lines)
    reader = threading.Thread(target=watch.read, args=(ended,))
    reader.start()
    try:
        yield lines
    finally:
        ended.set()
        watch.end()
        reader.join(timeout=30)
    assert not reader.is_alive(), f"the watch of {what} does not end"


@dataclass
class _Watch:
    person: CommandLine
    what: str
    form: str
    lines: list[str]
    process: "subprocess.Popen[str] | None" = None

    def read(self, ended: threading.Event) -> None:
        while not ended.is_set():
            with self.person.started("kubectl", "get", self.what, "--watch", "-o", self.form) as self.process:
                if ended.is_set():
                    self.end()
                assert self.process.stdout is not None
                self.lines += (line.strip() for line in self.process.stdout)
            ended.wait(0.5)

    def end(self) -> None:
        if self.process is not None:
            self.process.terminate()
