"""Verify a living stack once more, without changing it; or read the report of a verification.

    make verify NAME=prod [JUNIT=report.xml] [SSH_KEY=~/.ssh/id_ed25519]
    python -m scripts.verify --from report.json --junit report.xml

It runs on the first server that lets you in (scripts/stack.py), with the expectations of the last `pulumi up`. The
exit status is 1 when a check failed.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from machine.documents.form import DocumentError
from machine.documents.verification_report import VerificationReport
from plan.report import colours
from scripts.stack import NO_WAY_IN, Stack, StackError, no_way_in
from scripts.verification_report import junit, summary

_NO_VERDICT = 2
"""The exit status of mig-verify where there are no expectations, or Kubernetes does not answer."""


def main(arguments: list[str]) -> int:
    """Verify, or read; say how it went; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.verify", description="Verify a living stack once more.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("stack", nargs="?", metavar="STACK", help="name of a stack of yours")
    source.add_argument("--from", dest="file", type=Path, metavar="FILE", help="a report, instead of a new run")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML too")
    options = parser.parse_args(arguments)
    try:
        report = _read(options.file) if options.file else _of_stack(options.stack)
        return conclude(report, options.junit)
    except StackError as error:
        print(f"verify: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nverify: interrupted; the run on the machine notices and deletes what it made", file=sys.stderr)
        return 130


def conclude(report: VerificationReport, xml: Path | None) -> int:
    """Print the summary, write the report as JUnit XML if wanted; the exit status. Raises StackError."""
    print(summary(report, colour=colours.wanted(sys.stdout)))
    if xml is not None:
        try:
            xml.write_bytes(junit(report))
        except OSError as error:
            raise StackError(f"cannot write {xml}: {error.strerror}") from None
    return 0 if report.passed else 1


def again(ways: Sequence[Sequence[str]]) -> VerificationReport:
    """The report of a run on the first machine that lets one in and whose API answers; each way is an ssh command
    without its remote half.

    Progress goes to standard error. Raises StackError.
    """
    *others, last = ways
    for ssh in others:
        done = _verified(ssh)
        if done.returncode not in (NO_WAY_IN, _NO_VERDICT):
            break
        why = "does not get in" if done.returncode == NO_WAY_IN else "leads to one that cannot tell"
        print(f"`{shlex.join(ssh)}` {why}: the next server is asked", file=sys.stderr)
    else:
        done = _verified(last)
    if done.returncode == NO_WAY_IN:
        raise StackError(no_way_in(last))
    if done.returncode not in (0, 1) or not done.stdout:
        raise StackError(
            f"mig-verify ended with status {done.returncode} and without a report; see above. If it does not know "
            "--json, the machine has an older release: `pulumi up` brings this one"
        )
    return _report(done.stdout, "the machine's report")


def _verified(ssh: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [*ssh, "sudo mig-verify --again --json"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)


def _of_stack(name: str) -> VerificationReport:
    with Stack(name).machines() as machines:
        return again([machine.ssh for machine in machines if machine.role == "server"])


def _read(file: Path) -> VerificationReport:
    """A report as `pulumi stack output --json verification` or mig-verify printed it."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise StackError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise StackError(f"{file} is not text: {error.reason}") from None
    return _report(text, f"{file} (`pulumi stack output --json verification` prints a report)")


def _report(text: str, where: str) -> VerificationReport:
    try:
        return VerificationReport.from_json(text)
    except DocumentError as error:
        raise StackError(f"{where}: {error}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
