"""Files of a machine, written in one step: whoever reads, or a power cut, sees the old content or the new."""

import contextlib
import os
import tempfile
from pathlib import Path

from machine.host.errors import MAKE_ROOM, DiskError


def write(path: Path, content: str | bytes, mode: int, *, owner: Path | None = None) -> None:
    """Replace a file, or make it with the folders above it. Raises DiskError; the file is then as it was.

    It gets the owner of the file `owner`; None: it belongs to root, who writes it.
    """
    temporary = None
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)  # whatever the umask is, nobody else writes there
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            if owner is not None:
                os.fchown(stream.fileno(), owner.stat().st_uid, owner.stat().st_gid)
            os.fchmod(stream.fileno(), mode)
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise DiskError(f"cannot write {path}: {error.strerror}. {MAKE_ROOM}") from error
        raise


def write_if_changed(path: Path, content: str, mode: int) -> bool:
    """Write a file unless it is so already; whether it was written. Raises DiskError."""
    with contextlib.suppress(OSError):
        if path.stat().st_mode & 0o7777 == mode and path.read_bytes() == content.encode():
            return False
    write(path, content, mode)
    return True
