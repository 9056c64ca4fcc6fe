"""A release on its way to a machine: the text that cloud-init and SSH both bring, and the command that receives it."""

import base64
import bz2
from functools import cache

from machine.documents.manifest import HOME
from plan.machine.release import Release, is_runnable

PYTHON = "/usr/bin/python3"
_UNPACK = """\
import base64, bz2, pathlib, sys
sys.tracebacklimit = 0
parts = bz2.decompress(base64.b64decode(sys.stdin.buffer.read())).split(bytes(1))
for name, mode, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
    path = pathlib.Path(sys.argv[1], name.decode())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    path.chmod(int(mode, 8))
"""
"""Unpacks all or prints one line of error. It needs Python, as cloud-init does, and not the program bzip2."""


@cache
def delivery(sent: Release) -> str:
    """The release as the standard input of `delivery_command`: one line, the same every time.

    It is base64 of bzip2 of the path, the mode and the text of every file, with a zero byte between any two: headers of
    a tar would be a fortieth of the user-data. No time is in it: an unchanged release is an unchanged command.
    """
    files = ((path, "755" if is_runnable(path) else "644", text) for path, text in sent.contents.items())
    return base64.b64encode(bz2.compress("\0".join(part for file in files for part in file).encode())).decode()


def delivery_command(*, home: str = HOME, python: str = PYTHON, if_none: bool = False) -> str:
    """The command that receives a release on a machine and has it install itself. It needs nothing of ours there.

    `if_none`: a machine that has a release keeps it. A shell of its own: standard input must not be read
    before Python reads it.
    """
    return (
        f'sh -c \'d={home}/incoming.$$; rm -rf "$d"; mkdir -p "$d" && {python} -I -W ignore -c "{_UNPACK}" "$d" ||'
        f' {{ rm -rf "$d"; echo "the release did not arrive whole; run it again" >&2; exit 1; }};'
        f' exec {python} -I -B "$d" install{" --if-none" if if_none else ""}\''
    )
