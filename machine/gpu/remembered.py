"""The layout that this machine made last and where, kept for its boots: no GPU keeps its instances over one."""

from machine.documents.form import DocumentError
from machine.documents.gpu_report import GpuReport
from machine.documents.layout import PATH, GpuLayout, Layout, Place
from machine.host import files
from machine.host.errors import UsageError
from machine.host.this_machine import ThisMachine


def remember(machine: ThisMachine, made: GpuReport) -> None:
    """Keep what the GPUs have, each instance at the place where it is. Raises DiskError."""
    gpus = (GpuLayout(g.index, bool(g.mode), tuple(Place(i.profile, i.start) for i in g.instances)) for g in made.gpus)
    files.write(machine.path(PATH), Layout(tuple(gpus)).to_json(), 0o644)


def recall(machine: ThisMachine) -> Layout | None:
    """The layout of the last time; None if there was none. Raises UsageError when it is not understood."""
    path = machine.path(PATH)
    try:
        return Layout.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, DocumentError) as error:
        raise UsageError(f"{path}: {error}. `pulumi up` writes it again") from error


def forget(machine: ThisMachine) -> None:
    """Delete the remembered layout: from now on somebody else makes the instances."""
    machine.path(PATH).unlink(missing_ok=True)
