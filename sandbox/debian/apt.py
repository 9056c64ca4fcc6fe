"""How this host's apt is called: it waits for a lock, a mirror or a name server, and for none of them without end."""

import os
import subprocess

from sandbox.error import SandboxError

OPTIONS = {
    "DPkg::Lock::Timeout": "120",
    "Acquire::Retries": "1",
    "Acquire::http::Timeout": "30",
    "Acquire::https::Timeout": "30",
    "Acquire::EnableSrvRecords": "false",
}
"""Each archive would be asked for twice, and apt asks again: at a dead name server that was more than two minutes."""
RESOLVER = {"RES_OPTIONS": "timeout:2 attempts:1"}
"""Options of the C library: how long it waits for a name server."""
_SECONDS = {"update": 300.0, "install": 1200.0}


def get(command: str, *arguments: str) -> str:
    """Run `apt-get update` or `apt-get install`; what it complained about, "" if nothing.

    Raises SandboxError if it fails or does not end.
    """
    options = [word for name, value in OPTIONS.items() for word in ("-o", f"{name}={value}")]
    environment = {**os.environ, **RESOLVER, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            ["apt-get", *options, command, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS[command],
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SandboxError(f"apt-get {command} did not end within {_SECONDS[command]:.0f} s") from None
    said = done.stderr.strip()[-1500:]
    if done.returncode:
        raise SandboxError(f"apt-get {command} failed:\n{said}")
    return said
