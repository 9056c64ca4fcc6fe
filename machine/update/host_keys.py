"""The SSH host keys that this machine shows to whoever dials it, where the stack gives it some."""

import hashlib
from collections.abc import Sequence

from machine.host import files
from machine.host.console import one_line
from machine.host.errors import MachineError
from machine.host.this_machine import ThisMachine

FOLDER = "/etc/ssh/mig-k8s"
CONFIG = "/etc/ssh/sshd_config.d/10-mig-k8s.conf"
"""sshd's configuration that names these keys. Where it names any, sshd does not show its own."""
_RELOAD = "reload"
"""While this file is in the folder, sshd may not have read the configuration yet."""


def write(machine: ThisMachine, keys: Sequence[str]) -> bool:
    """Show these keys and no others from the next session on; whether anything changed. No keys: nothing is changed.

    Raises MachineError, and sshd goes on as it was, where it would not show them; DiskError.
    """
    if not keys:
        return False
    folder, config = machine.path(FOLDER), machine.path(CONFIG)
    names = [f"key-{hashlib.sha256(key.encode()).hexdigest()[:16]}" for key in keys]
    wanted = "".join(f"HostKey {folder / name}\n" for name in names)
    before = config.read_text(encoding="utf-8") if config.exists() else None
    if before == wanted and not (folder / _RELOAD).exists():
        return False
    for name, key in zip(names, keys, strict=True):
        files.write_if_changed(folder / name, key, 0o600)
    files.write(folder / _RELOAD, "", 0o600)
    files.write(config, wanted, 0o644)
    if why := _not_shown(machine, wanted):
        if before is None:
            config.unlink()
        else:
            files.write(config, before, 0o644)
        raise MachineError(f"sshd would not show the host keys of the stack, and goes on as it was: {why}")
    reloaded = machine.systemctl("try-reload-or-restart", "ssh.service")
    if not reloaded.succeeded:
        raise MachineError(f"sshd does not take its new host keys: {one_line(reloaded.stderr)}")
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()
    return True


def _not_shown(machine: ThisMachine, wanted: str) -> str:
    """Why sshd would not start with all of this; empty where it would."""
    tried = machine.run(str(machine.path("/usr/sbin/sshd")), "-T", seconds=60)
    if not tried.succeeded:
        return one_line(tried.stderr)
    seen = tried.stdout.lower().splitlines()
    missing = [line for line in wanted.lower().splitlines() if line not in seen]
    return f"`sshd -T` has no {missing[0]}: does /etc/ssh/sshd_config include {CONFIG}?" if missing else ""
