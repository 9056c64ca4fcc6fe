"""A release on its way to a machine: the text that cloud-init and SSH both bring, and the command that receives it."""

import base64
import bz2
import io
import tarfile
from functools import cache

from machine.documents.manifest import HOME
from plan.machine.release import Release, is_runnable

PYTHON = "/usr/bin/python3"
_UNPACK = (
    "import base64, bz2, io, sys, tarfile; sys.tracebacklimit = 0;"
    " archive = io.BytesIO(bz2.decompress(base64.b64decode(sys.stdin.buffer.read())));"
    " tarfile.TarFile(fileobj=archive).extractall(sys.argv[1])"
)
"""All or one line of error. Python can unpack it wherever there is cloud-init; the program bzip2 need not be there."""


@cache
def delivery(sent: Release) -> str:
    """The release as the standard input of `delivery_command`: one line, base64 of a .tar.bz2, the same every time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sent.contents.items():
            data = content.encode()
            entry = tarfile.TarInfo(path)  # no time in it: an unchanged release is an unchanged command
            entry.size, entry.mode = len(data), 0o755 if is_runnable(path) else 0o644
            archive.addfile(entry, io.BytesIO(data))
    return base64.b64encode(bz2.compress(packed.getvalue())).decode()


def delivery_command(*, home: str = HOME, python: str = PYTHON, if_none: bool = False) -> str:
    """What receives a release on a machine and has it install itself. It needs nothing of what is there already.

    `if_none`: it stays as it is where there is a release already. A shell of its own: standard input must not be read
    before Python reads it.
    """
    return (
        f'sh -c \'d={home}/incoming.$$; rm -rf "$d"; mkdir -p "$d" && {python} -I -W ignore -c "{_UNPACK}" "$d" ||'
        f' {{ rm -rf "$d"; echo "the release did not arrive whole; run it again" >&2; exit 1; }};'
        f' exec {python} -I -B "$d" install{" --if-none" if if_none else ""}\''
    )
