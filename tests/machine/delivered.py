"""Releases for the tests: written into folders, changed ones, and machines that run one."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

from a_machine import DESIRED, FIRST_BOOT

from machine.documents.manifest import FILE, HOME
from machine.host.program import Ended
from machine.host.this_machine import ThisMachine
from machine.release import storage
from machine.release.check import is_whole, read_manifest
from machine.release.install import install
from plan.machine.delivery import delivery_command
from plan.machine.release import Release, is_runnable, release


def changed(path: str, content: str, of: Release | None = None) -> Release:
    """The release of this checkout with another content of one file, and a manifest that says so."""
    files = {name: text for name, text in (of or release()).contents.items() if name != FILE}
    return Release.of({**files, path: content})


def small() -> Release:
    """A release of few files, for tests in which another one's code runs."""
    kept = ("units/", "entry-points/", "machine/__init__", "stages/apt")
    return Release.of({path: text for path, text in release().contents.items() if path.startswith(kept)})


def write(sent: Release, folder: Path) -> Path:
    """A release's files in a folder, as its delivery leaves them."""
    for path, content in sent.contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
        (folder / path).chmod(0o755 if is_runnable(path) else 0o644)
    return folder


@dataclasses.dataclass(frozen=True)
class Receiver(ThisMachine):
    """A machine to which releases are delivered: only systemctl is answered, and remembered in `calls`."""

    calls: list[str] = dataclasses.field(default_factory=list)

    @classmethod
    def below(cls, folder: Path) -> "Receiver":
        for name in ("root", "programs", "state"):
            (folder / name).mkdir()
        systemctl = folder / "programs/systemctl"
        systemctl.write_text('#!/bin/sh\necho "systemctl $*" >>"$STATE/calls"\n', encoding="utf-8")
        systemctl.chmod(0o755)
        made = cls(folder / "root")
        made.put("proc/sys/kernel/random/boot_id", FIRST_BOOT + "\n")
        made.put("etc/mig-k8s/desired.json", json.dumps(DESIRED))
        return made

    def run(self, *command: str, seconds: float = 120, stdin: str = "") -> Ended:  # noqa: ARG002 - as ThisMachine's
        assert command[0] == "systemctl", command
        self.calls.append(" ".join(command))
        return Ended(command, 0, "", "")

    def put(self, name: str, content: str) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    @property
    def home(self) -> Path:
        return self.path(HOME)

    def of(self, folder: Path) -> "Receiver":
        """The same machine, with the code in this folder running."""
        return dataclasses.replace(self, release=folder)

    def install(self, sent: Release, *, into: str = "incoming.99999999", if_none: bool = False) -> int:
        """Deliver a release and have it install itself, in process."""
        return install(self.of(write(sent, self.home / into)), if_none=if_none)

    def current(self) -> str | None:
        """Name of the current release, which must be whole."""
        folder = storage.current(self)
        if folder is None:
            return None
        assert is_whole(folder)
        assert read_manifest(folder).release == folder.name
        return folder.name

    def entries(self) -> list[str]:
        """What lies beside the releases, and the releases."""
        inside = [f"releases/{path.name}" for path in (self.home / "releases").glob("*")]
        beside = [path.name for path in self.home.glob("*") if path.name != "releases"]
        return sorted(inside + beside)

    # ---- with processes of its own, as over SSH

    def python(self) -> Path:
        """What stands for /usr/bin/python3 here. It runs a release on this machine, and anything else as it is."""
        path = self.root.parent / "programs/python-of-the-machine"
        process, python = Path(__file__).with_name("release_process.py"), Path(sys.executable).resolve()
        path.write_text(
            f'#!/bin/sh\ncase "$*" in *" -c "*) exec {python} "$@" ;; esac\n'
            f'exec {python} -I -B {process} {self.root} "$@"\n'
        )
        path.chmod(0o755)
        return path

    def deliver(self, stdin: str, *, if_none: bool = False) -> "subprocess.CompletedProcess[str]":
        """What the program does over SSH, and cloud-init at the first boot (`if_none`)."""
        command = delivery_command(home=str(self.home), python=str(self.python()), if_none=if_none)
        return subprocess.run(
            ["bash", "-c", command], input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    def status(self) -> "subprocess.CompletedProcess[str]":
        """`mig-k8s status`."""
        return self.command("status")

    def command(self, subcommand: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """What the entry point does: the current release's own code."""
        program = [str(self.python()), "-I", "-B", os.path.realpath(self.home / "current"), subcommand]
        return subprocess.run(program, input=stdin, capture_output=True, text=True, timeout=60, check=False)
