"""The subcommands that change a node: free and label around a layout of MIG Manager's, and what stages ask for."""

import argparse
import sys
from typing import TYPE_CHECKING, TypeVar

from machine.documents.form import Document, DocumentError
from machine.documents.layout import GpuLayout, Layout
from machine.documents.mig_manager_layout import MigManagerLayout
from machine.documents.node_removal import NodeRemoval
from machine.documents.turns import Limit
from machine.gpu import apply
from machine.gpu.all_gpus import AllGpus
from machine.gpu.comparison import compared
from machine.gpu.nvidia_smi import NoNvidiaSmiError, NvidiaSmi
from machine.host import lock
from machine.host.console import say
from machine.host.errors import GpuError, NodeError, UsageError
from machine.host.this_machine import ThisMachine
from machine.kubernetes import before_reboot, command_turn, joining, mig_manager, removal, server_token, turns_of_others
from machine.kubernetes.kubectl import Kubectl
from machine.kubernetes.node import Node

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name


_Read = TypeVar("_Read", bound=Document)


def add_parser(subparsers: "Subparsers") -> None:
    """Add the subcommands. Each sets `run`: (machine, arguments) -> exit code; it may raise MachineError."""
    words = "free GPUs for another layout of MIG Manager's, which then changes nothing until it is told of it"
    parser = subparsers.add_parser("free", help=words)
    parser.add_argument("--node", metavar="NAME", help="refuse on a machine of another name")
    parser.set_defaults(run=_free)
    parser = subparsers.add_parser("label", help="let MIG Manager make a layout, and wait until the GPUs have it")
    parser.set_defaults(run=lambda machine, _: label(NvidiaSmi(machine), _read(MigManagerLayout)))
    parser = subparsers.add_parser("keep-tokens", help="have RKE2 keep this server's tokens over its next start")
    parser.set_defaults(run=lambda machine, _: server_token.keep(machine))
    parser = subparsers.add_parser("before-reboot", help="tell whether the pods of users here may end, as they would")
    parser.set_defaults(run=lambda machine, _: before_reboot.ask(machine))
    parser = subparsers.add_parser("remove-node", help="take another machine out of the cluster, its pods first")
    parser.set_defaults(run=lambda machine, _: remove_node(machine))
    parser = subparsers.add_parser("limit-turns", help="say on a server how many agents may be out at once")
    parser.set_defaults(run=lambda machine, _: limit_turns(machine))
    parser = subparsers.add_parser(
        "end-turn", help="end the turn of this agent, or on a server of any, that nobody ends"
    )
    parser.add_argument("node", nargs="?", help="another machine's name, on a server")
    parser.set_defaults(run=lambda machine, options: end_turn(machine, options.node))
    words = "let this machine found a cluster if none is on its disk and no server answers"
    parser = subparsers.add_parser("permit-founding", help=words)
    parser.set_defaults(run=lambda machine, _: joining.permit_founding(machine))


def _free(machine: ThisMachine, arguments: argparse.Namespace) -> int:
    if arguments.node is not None:
        machine.must_be(arguments.node)
    return free(NvidiaSmi(machine), _read(Layout))


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
            say(f"freeing GPU {', '.join(str(gpu.index) for gpu in emptied.gpus)} for its new layout")
            with command_turn.during(smi.machine, "its GPUs are freed"):
                _, is_empty = apply.make(AllGpus(smi, drain=layout.on_change == "drain"), emptied)
                if not is_empty:
                    name = smi.machine.node_name() or "this machine"
                    raise GpuError(f"{name} keeps its layout, because its GPUs could not be freed: see above")
        # A machine that reboots for its mode must not meet a MIG Manager that wants the old one back.
        kubectl = Kubectl.here(smi.machine)
        if kubectl and (emptied.gpus or seen.with_another_mode):
            mig_manager.unlabel(Node(kubectl, smi.machine.desired_state().node.name))
    return 0


def label(smi: NvidiaSmi, wanted: MigManagerLayout) -> int:
    """Let MIG Manager make the layout, once the GPU Operator's release holds it. Returns 0. Raises MachineError."""
    with lock.shared(smi.machine.path(lock.FOLLOWERS)):
        smi.machine.must_be(wanted.node)
        kubectl = Kubectl.here(smi.machine)
        if kubectl is None:
            raise NodeError(f"there is no Kubernetes on {wanted.node}: `sudo mig-k8s status` there tells why")
        mig_manager.label(smi, Node(kubectl, wanted.node), wanted)
    return 0


def remove_node(machine: ThisMachine) -> int:
    """Take a machine out of the cluster, on a server of it. Returns 0. Raises MachineError."""
    leaving = _read(NodeRemoval)
    removal.remove(machine, leaving)
    turns_of_others.forget(machine, leaving.node)
    return 0


def limit_turns(machine: ThisMachine) -> int:
    """Say, on a server, how many agents may be out at once. Returns 0. Raises MachineError."""
    turns_of_others.limit(machine, _read(Limit).agents_at_once)
    return 0


def end_turn(machine: ThisMachine, node: str | None) -> int:
    """End the turn of a machine, by default of this one. Returns 0. Raises MachineError."""
    turns_of_others.end(machine, node or machine.desired_state().node.name)
    return 0


def _read(form: type[_Read]) -> _Read:
    try:
        return form.from_json(sys.stdin.read())
    except (UnicodeDecodeError, DocumentError) as error:
        raise UsageError(str(error)) from error
