"""The ways in which a command on a machine ends without success, each with its exit code."""

MAKE_ROOM = "Make room on the machine (`df -h`, `sudo journalctl --vacuum-size=100M`), then `pulumi up` again"


class MachineError(Exception):
    """A command cannot go on; the text tells a person what was seen and what to do."""

    exit_code = 1


class UsageError(MachineError):
    """The command line or a document is wrong, or this machine lacks what the command needs. Nothing was tried."""

    exit_code = 2


class DiskError(MachineError):
    """A file cannot be written; it is as it was."""


class GpuError(MachineError):
    """A GPU cannot be read, cannot take its layout, or did not."""


class NodeError(MachineError):
    """Kubernetes refuses, does not answer, or somebody is in the way."""
