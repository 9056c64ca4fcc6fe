"""Services of the machine itself, outside of Kubernetes, that hold GPUs or list their devices."""

from machine.host.console import one_line, say
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine

HOLDERS = ("nvidia-dcgm.service", "dcgm.service", "dcgm-exporter.service", "nvsm.service", "nvsm-core.service")
"""Services that hold GPUs, of NVIDIA's documented packages. nvidia-persistenced does not hinder a change."""
CDI_REFRESH = "nvidia-cdi-refresh.service"
_CDI_WATCHER = "nvidia-cdi-refresh.path"
"""Starts the refresh whenever the driver's files change."""


def stop(machine: ThisMachine, services: list[str]) -> None:
    """Stop services that hold GPUs. Raises NodeError."""
    if not services:
        return
    say(f"stops {', '.join(services)}")
    stopped = machine.systemctl("stop", *services)
    if not stopped.succeeded:
        raise NodeError(f"{', '.join(services)} cannot be stopped: {one_line(stopped.stderr)}")


def start(machine: ThisMachine, services: list[str]) -> None:
    """Start services again. One that does not start is told, and the others are started all the same."""
    if not services:
        return
    started = machine.systemctl("start", *services)
    if not started.succeeded:
        say(f"{', '.join(services)} cannot be started again: {one_line(started.stderr)}")


def refresh_cdi(machine: ThisMachine) -> None:
    """Let the container toolkit list the devices anew: its list does not follow MIG changes by itself.

    When a driver has just come, the watcher may have started the refresh so often that systemd refuses another start
    for ten seconds, and gives the watcher up.
    """
    if not machine.systemctl("cat", CDI_REFRESH).succeeded:
        return
    machine.systemctl("reset-failed", CDI_REFRESH, _CDI_WATCHER)  # the count of starts too
    if not machine.systemctl("restart", CDI_REFRESH).succeeded:
        say(f"{CDI_REFRESH} does not restart; CDI devices may be those of the old layout")
    if machine.systemctl("is-enabled", _CDI_WATCHER).succeeded:
        machine.systemctl("start", _CDI_WATCHER)
