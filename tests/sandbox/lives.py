"""What each machine lives through during an `up`, held against what `plan digest` says of it beforehand."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from command_line import CHECKOUT, CommandLine

from digest_words import said
from sandbox.host import access

_STATE = """
cat /proc/sys/kernel/random/boot_id
echo rke2 $(systemctl show -p InvocationID --value rke2-server rke2-agent)
nvidia-smi -L 2>/dev/null || true
"""


@dataclass(frozen=True)
class Life:
    """What differs after something has happened to a machine; of one that is off, nothing is known."""

    vm_id: str
    boot_id: str = ""
    rke2: str = ""
    """Of the run of its service."""
    devices: frozenset[str] = frozenset()
    """UUIDs of its MIG devices."""
    pods: frozenset[str] = field(default=frozenset())
    """Containers of users on it."""


def lives(person: CommandLine) -> dict[str, Life]:
    """The life of every machine, by its name."""
    pods = person.get("pods")["items"]
    found = {}
    for vm_id in person.sandbox.machine_ids:
        if login := access.login(person.sandbox, vm_id):
            running = [
                status["containerID"]
                for pod in pods
                if pod["spec"].get("nodeName") == login.name
                for status in pod["status"].get("containerStatuses", [])
                if "running" in status["state"]
            ]
            found[login.name] = _life(person, login.name, vm_id, frozenset(running))
    return found


def _life(person: CommandLine, machine: str, vm_id: str, pods: frozenset[str]) -> Life:
    seen = person.ssh(_STATE, statuses=(0, 255), machine=machine)  # 255 is ssh's own: it is off
    if not seen:
        return Life(vm_id)
    boot, rke2, *_ = seen.splitlines()
    return Life(vm_id, boot, rke2, frozenset(re.findall(r"\(UUID: (MIG-\S+)\)", seen)), pods)


def up_as_said(person: CommandLine, stack: Path, *, seconds: float = 240) -> str:
    """Bring another stack up, and hold what happens to every machine against the digest of the two stack files."""
    last = person.root / "last-stack.yaml"
    last.write_text(person.stacks[-1])
    digest = subprocess.run(
        [sys.executable, "-m", "plan", "digest", str(last), str(stack)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    before = lives(person)
    printed = person.up(stack, seconds=seconds)
    after = lives(person)
    words = dict.fromkeys(before.keys() | after.keys(), "untouched") | said(digest)
    happened = {name: _happened(before.get(name), after.get(name)) for name in words}
    told = json.dumps({"digest": words, "happened": {name: sorted(each) for name, each in happened.items()}}, indent=1)
    for name, word in words.items():
        assert happened[name] == _seen_of(word, happened[name]), f"{name}\n{told}\n{digest}"
    return printed


def _happened(before: Life | None, after: Life | None) -> set[str]:
    """The words of tests/changes.py that can be seen from outside, and `pods end`."""
    if before is None or after is None:
        return {"new" if before is None else "removed"}
    if before.vm_id != after.vm_id:
        return {"replaced"}
    found = {"rebooted"} if before.boot_id != after.boot_id else set()
    found |= {"restarted"} if before.rke2 != after.rke2 else set()
    found |= {"pods"} if before.devices - after.devices else set()
    return found | ({"pods end"} if before.pods - after.pods else set())


def _seen_of(word: str, happened: set[str]) -> set[str]:
    """What has to be seen of a machine with this word: a reboot restarts everything, pods end where there are some."""
    if word == "rebooted":
        return {"rebooted", "restarted"} | (happened & {"pods", "pods end"})
    words = set(word.split(", ")) - {"untouched", "stays"}
    return words | (happened & {"pods end"} if "pods" in words else set())
