"""`mig-k8s verify`: prove from inside pods that the cluster offers exactly the GPU devices that are expected."""

import argparse
import sys
from typing import TYPE_CHECKING

from machine.documents.expectations import Expectations
from machine.host import console, lock, signals
from machine.host.errors import MachineError, NodeError, UsageError
from machine.host.this_machine import ThisMachine
from machine.kubernetes.kubectl import KUBECONFIGS, Kubectl
from machine.verification import report
from machine.verification.progress import line
from machine.verification.remembered import recall, remember, understood
from machine.verification.run import Verification

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no public name

LOCK = "/run/mig-verify.lock"
"""The earlier releases' too: while a machine gets this one, theirs may still be running."""
LOCK_SECONDS = 60
"""How long another run may take to end: one whose session is gone needs a heartbeat and its clean-up."""
DESCRIPTION = """\
Within the time that the expectations give: every node is ready, of this boot, with the allocatable and labels that are
expected; each free device is proven by a pod that sees just it and computes on it, each one in use by the kubelet's
record of who has it; no two pods have the same device, and one pod more stays Pending. Its pods make way for any other.
What it makes it deletes again, whatever happens. Progress and failed checks go to standard error.
Exit status: 0 passed, 1 a check failed, 2 the expectations are not understood or Kubernetes does not answer."""


class NoVerdictError(MachineError):
    """Kubernetes does not answer, or refuses: nothing can be said of the cluster."""

    exit_code = 2


def add_parser(subparsers: "Subparsers") -> None:
    """The subcommand and its options; `run` is what does it: (machine, arguments) -> exit code."""
    parser = subparsers.add_parser(
        "verify",
        help="prove from inside pods that the cluster offers the GPU devices that are expected",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The expectations are read from standard input; at a terminal those of the last time are taken.",
    )
    parser.add_argument("--again", action="store_true", help="take the expectations of the last time")
    parser.add_argument("--json", action="store_true", help="print the report as JSON also when a check failed")
    parser.set_defaults(run=_run)


def _run(machine: ThisMachine, options: argparse.Namespace) -> int:
    if options.again or sys.stdin.isatty():
        return verify(machine, None, as_json=options.json)
    try:
        text = sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not text: {error}") from error
    expected = understood(text)
    machine.must_be(*(node.name for node in expected.nodes))
    return verify(machine, expected, as_json=options.json)


def verify(machine: ThisMachine, given: Expectations | None, *, as_json: bool) -> int:
    """Verify and report; the exit status. None: the expectations of the last time. Raises UsageError, NoVerdictError.

    The report goes to standard output when the verification passed, and with `as_json` also when it did not.
    """
    signals.raise_on_signals()
    try:
        kubeconfig = machine.path(KUBECONFIGS[0])
        if not kubeconfig.exists():
            raise UsageError(f"{kubeconfig} is missing: verification runs on a server, once RKE2 runs there")
        with lock.held(machine.path(LOCK), machine.clock, seconds=LOCK_SECONDS, told=_told) as is_free:
            if not is_free:
                way_out = f"`sudo fuser -k -TERM {machine.path(LOCK)}` ends it"
                raise UsageError(f"another verification runs here and does not end; {way_out}")
            kubectl = Kubectl(machine, kubeconfig)
            trouble = remember(kubectl, given) if given else ""
            result = Verification(machine, kubectl, given or recall(kubectl)).run()
            if given and trouble and (trouble := remember(kubectl, given)):  # the API server may have been away
                line(f"--again will not have these expectations: {trouble}")
    except NodeError as error:
        raise NoVerdictError(str(error)) from error
    except signals.Interrupted as interrupted:
        console.say(f"verify: ended by {interrupted} before it was done; what it made is deleted")
        return 1
    if result.passed or as_json:
        console.report(result.to_json())
    console.say(report.words(result))
    return 0 if result.passed else 1


def _told() -> None:
    line("another verification runs here: waiting for its end")
