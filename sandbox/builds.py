"""What takes long to make, made before it is needed."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from sandbox.host import image
from sandbox.tools import pulumi_cli, toolchain

Make = Callable[[], object]


def for_the_engine() -> None:
    """Build Pulumi and what its engine starts. They are the same for every stack."""
    pulumi_cli.pulumi()
    toolchain.command()


def for_machines() -> None:
    """Build all that the engine needs, and what runs on machines and in pods."""
    # One after the other: Go uses all processors for each, and two beside each other took a tenth longer in all.
    # containerd, Helm and the operator share much of their code with Kubernetes.
    of_gpus = (toolchain.gpu, toolchain.nvml, toolchain.container_toolkit, toolchain.gpu_inventory)
    of_kubernetes = (toolchain.kubernetes, toolchain.containerd, toolchain.helm, toolchain.operator)
    at_once((for_the_engine, *of_gpus, *of_kubernetes), (image.rootfs,))


def at_once(*rows: Iterable[Make], stopped: threading.Event | None = None) -> None:
    """Make the things of each row one after the other, all rows at the same time.

    Raises what one of them raises. What has begun by then ends first; once `stopped` is set, nothing more begins.
    """
    stopped = stopped or threading.Event()

    def make_all(row: Iterable[Make]) -> None:
        for make in row:
            if stopped.is_set():
                return
            try:
                make()
            except BaseException:
                stopped.set()
                raise

    with ThreadPoolExecutor(len(rows)) as threads:
        try:
            begun = [threads.submit(make_all, row) for row in rows]
            for each in begun:
                each.result()
        except BaseException:
            stopped.set()
            raise
