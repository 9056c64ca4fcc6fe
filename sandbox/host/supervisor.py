"""The process that keeps one machine running: ``python -m sandbox.host.supervisor READY_FD DIRECTORY`` in a mount
namespace of its own.

Boots the machine described by DIRECTORY/machine.json; when it reboots, boots it again; when it powers off, ends. Mounts
are in this process's mount namespace only: they go when the last process of the machine goes.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sandbox import distance
from sandbox.error import SandboxError
from sandbox.host import cgroup
from sandbox.process import ProcessId, announce, run

_REBOOT = 133  # systemd-nspawn: "the container was rebooted"
_START_SECONDS, _STOP_SECONDS = 30, 5
_NSPAWN_STATE = Path("/run/systemd/nspawn")
"""Locks and folders that a killed systemd-nspawn leaves behind: it gets an empty one of its own."""


def main(descriptor: int, directory: Path) -> None:
    boot = json.loads((directory / "machine.json").read_text())
    ProcessId.me().write(directory / "supervisor.pid")
    _NSPAWN_STATE.mkdir(parents=True, exist_ok=True)
    run(["mount", "-t", "tmpfs", "tmpfs", str(_NSPAWN_STATE)])
    layers = f"lowerdir={boot['lower']},upperdir={directory / 'upper'},workdir={directory / 'work'}"
    run(["mount", "-t", "overlay", "overlay", "-o", layers, str(directory / "merged")])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    first, sandbox = True, directory.parents[1]
    while True:
        profile = distance.of(sandbox)
        time.sleep(profile.machine if first else profile.reboot)  # SIGTERM ends it
        with _booted(boot["argv"], boot["cgroup"], directory) as machine:
            if first:
                announce(descriptor)
                first = False
            status = machine.wait()
        if status != _REBOOT:
            print(f"powered off: systemd-nspawn ended with {status}", flush=True)
            return
        print("reboot", flush=True)


@contextmanager
def _booted(argv: list[str], group: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """systemd-nspawn with the machine's init running; killed at the end if it has not ended by itself."""
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    address = f"mk8s/{os.getpid()}/{group}"  # abstract: no file, no limit on the directory's length
    notices.bind("\0" + address)
    nspawn = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        env={
            "PATH": os.environ["PATH"],
            "NOTIFY_SOCKET": "@" + address,
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",  # CNI needs /proc/sys/net; the rest is the host's
            "SYSTEMD_NSPAWN_TMPFS_TMP": "0",  # /tmp is on the disk, as on a server
        },
        preexec_fn=lambda: cgroup.enter(group),  # noqa: PLW1509 - this process has one thread
    )
    leader = None
    try:
        _keep(ProcessId.of(nspawn.pid), directory / "nspawn.pid")
        with notices:  # closed as soon as init is known: a full queue that nobody reads would block systemd-nspawn
            leader = ProcessId.of(_leader(nspawn, notices))
        _keep(leader, directory / "leader.pid")
        yield nspawn
    finally:
        if leader is not None:
            leader.send(signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                nspawn.wait(_STOP_SECONDS)  # it takes note of its init's end and cleans up
        nspawn.kill()
        nspawn.wait()


def _leader(nspawn: subprocess.Popen[bytes], notices: socket.socket) -> int:
    """The pid of the machine's init, as systemd-nspawn tells its service manager."""
    handle = os.pidfd_open(nspawn.pid)
    try:
        while True:
            heard = select.select([notices.fileno(), handle], [], [], _START_SECONDS)[0]
            if notices.fileno() not in heard:
                seen = f"ended with {nspawn.wait()}" if heard else f"has not started it within {_START_SECONDS} s"
                raise SandboxError(f"no machine: systemd-nspawn {seen}")
            for line in notices.recv(4096).decode().splitlines():
                if line.startswith("X_NSPAWN_LEADER_PID="):
                    return int(line.partition("=")[2])
    finally:
        os.close(handle)


def _keep(process: ProcessId | None, file: Path) -> None:
    if process is not None:  # None: it has ended already, and the loop will see that
        process.write(file)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), Path(sys.argv[2]))
    except SandboxError as error:
        sys.exit(str(error))
