"""A stand-in of sudo for the tests: a process of that name that waits for the command it has started with another
environment. What it does not do is to change the user: whoever uses it is root already.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOTS_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Debian's secure_path."""
_WAITS = """
import json, subprocess, sys
command, environment = json.loads(sys.argv[1])
sys.exit(subprocess.run(command, env=environment).returncode)
"""


def environment_of(uid: int, gid: int, **behind_the_word: str) -> dict[str, str]:
    """What sudo gives its command, but for root's home: a test that goes wrong leaves that alone."""
    names = {
        "SUDO_UID": str(uid),
        "SUDO_GID": str(gid),
        "SUDO_USER": "somebody",
        "HOME": "/nowhere",
        "PATH": ROOTS_PATH,
    }
    return names | behind_the_word


def sudo(
    folder: Path, command: Sequence[str], *, persons: Mapping[str, str], given: Mapping[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run `command` with the environment `given` below a sudo that was started with `persons`."""
    program = folder / "sudo"
    if not program.is_symlink():
        program.symlink_to(sys.executable)
    return subprocess.run(
        [program, "-c", _WAITS, json.dumps([list(command), dict(given)])],
        env=dict(persons),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
