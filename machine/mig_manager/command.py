"""The subcommands around a layout of MIG Manager's: GPUs are freed before it, the node is labelled for it."""

import argparse
from typing import TYPE_CHECKING

from machine.documents.layout import GpuLayout, Layout
from machine.documents.mig_manager_layout import MigManagerLayout
from machine.gpu import apply
from machine.gpu.all_gpus import AllGpus
from machine.gpu.comparison import compared
from machine.gpu.nvidia_smi import NoNvidiaSmiError, NvidiaSmi
from machine.host import console, lock
from machine.host.errors import GpuError, NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes import command_turn
from machine.kubernetes.kubectl import Kubectl
from machine.kubernetes.node import Node
from machine.mig_manager import label as labelling

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name


def add_parser(subparsers: "Subparsers") -> None:
    """Add the subcommands. Each sets `run`: (machine, arguments) -> exit code; it may raise MachineError."""
    words = "free GPUs for another layout of MIG Manager's, which then changes nothing until it is told of it"
    parser = subparsers.add_parser("free", help=words)
    parser.add_argument("--node", metavar="NAME", help="refuse on a machine of another name")
    parser.set_defaults(run=_free)
    parser = subparsers.add_parser("label", help="let MIG Manager make a layout, and wait until the GPUs have it")
    parser.set_defaults(run=lambda machine, _: label(NvidiaSmi(machine), console.received(MigManagerLayout)))


def _free(machine: ThisMachine, arguments: argparse.Namespace) -> int:
    if arguments.node is not None:
        machine.must_be(arguments.node)
    return free(NvidiaSmi(machine), console.received(Layout))


def free(smi: NvidiaSmi, layout: Layout) -> int:
    """Free GPUs before anything of the machine changes: instances that the new layout does not have go, with the same
    care for pods as in `apply`. Nothing to do on a machine that is just being made. Returns 0. Raises MachineError.
    """
    with lock.shared(smi.machine.path(lock.FOLLOWERS)):
        try:
            seen = compared(smi, layout)
        except NoNvidiaSmiError:
            return 0
        emptied = Layout(tuple(GpuLayout(index, mode=True) for index in seen.to_be_emptied))
        if emptied.gpus:
            console.say(f"freeing GPU {', '.join(str(gpu.index) for gpu in emptied.gpus)} for its new layout")
            with command_turn.during(smi.machine, "its GPUs are freed"):
                _, is_empty = apply.make(AllGpus(smi, drain=layout.on_change == "drain"), emptied)
                if not is_empty:
                    name = smi.machine.node_name() or "this machine"
                    raise GpuError(f"{name} keeps its layout, because its GPUs could not be freed: see above")
        # A machine that reboots for its mode must not meet a MIG Manager that wants the old one back.
        kubectl = Kubectl.here(smi.machine)
        if kubectl and (emptied.gpus or seen.with_another_mode):
            labelling.unlabel(Node(kubectl, smi.machine.desired_state().node.name))
    return 0


def label(smi: NvidiaSmi, wanted: MigManagerLayout) -> int:
    """Let MIG Manager make the layout, once the GPU Operator's release holds it. Returns 0. Raises MachineError."""
    with lock.shared(smi.machine.path(lock.FOLLOWERS)):
        smi.machine.must_be(wanted.node)
        kubectl = Kubectl.here(smi.machine)
        if kubectl is None:
            raise NodeError(f"there is no Kubernetes on {wanted.node}: `sudo mig-k8s status` there tells why")
        labelling.label(smi, Node(kubectl, wanted.node), wanted)
    return 0
