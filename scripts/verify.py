"""Verify a living stack once more, without changing it; or read the report of a verification.

    make verify NAME=prod [JUNIT=report.xml] [SSH_KEY=~/.ssh/id_ed25519]
    python -m scripts.verify --from report.json --junit report.xml

It runs on the first server that lets you in, with the expectations of the last `pulumi up`. Your own Pulumi tells the
way there and the host key it is held to; your own SSH key or agent opens it. The exit status is 1 when a check failed.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machine.documents.form import DocumentError
from machine.documents.verification_report import VerificationReport
from plan import Problems, read_settings
from plan.stack_file.document import read_stack_file
from scripts.verification_report import junit, summary

CHECKOUT = Path(__file__).resolve().parent.parent


_NO_WAY_IN = 255
"""The exit status of ssh where there is no connection."""


class VerifyError(Exception):
    """There is no report; the text says why and what to do."""


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
    except VerifyError as error:
        print(f"verify: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nverify: interrupted; the run on the machine notices and deletes what it made", file=sys.stderr)
        return 130


def conclude(report: VerificationReport, xml: Path | None) -> int:
    """Print the summary, write the report as JUnit XML if wanted; the exit status. Raises VerifyError."""
    print(summary(report))
    if xml is not None:
        try:
            xml.write_bytes(junit(report))
        except OSError as error:
            raise VerifyError(f"cannot write {xml}: {error.strerror}") from None
    return 0 if report.passed else 1


def again(ways: Sequence[Sequence[str]]) -> VerificationReport:
    """The report of a run on the first machine that lets one in; each way is an ssh command without its remote half.

    Progress goes to standard error. Raises VerifyError.
    """
    *others, last = ways
    for ssh in others:
        done = _verified(ssh)
        if done.returncode != _NO_WAY_IN:
            break
        print(f"`{shlex.join(ssh)}` does not get in: the next server is asked", file=sys.stderr)
    else:
        done = _verified(last)
    if done.returncode == _NO_WAY_IN:
        raise VerifyError(
            f"`{shlex.join(last)}` does not get in, see above. Is the machine on, your address in adminCidrs, your key "
            "the one of ssh.publicKey (SSH_KEY=FILE names one)?"
        )
    if done.returncode not in (0, 1) or not done.stdout:
        raise VerifyError(
            f"mig-verify ended with status {done.returncode} and without a report; see above. If it does not know "
            "--json, the machine has an older release: `pulumi up` brings this one"
        )
    return _report(done.stdout, "the machine's report")


def _verified(ssh: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [*ssh, "sudo mig-verify --again --json"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)


def servers(stack_file: Path) -> list[str]:
    """The names of the machines that can verify, in the order of the stack file. Raises VerifyError."""
    try:
        file = read_stack_file(stack_file)
        settings = read_settings(file.mapping, location=file.location, secrets=file.secrets, ask_for_secrets=False)
    except Problems as problems:
        raise VerifyError(str(problems)) from None
    return [name for pool in settings.node_pools if pool.role == "server" for name in pool.machine_names]


def _of_stack(name: str) -> VerificationReport:
    outputs = _outputs(name)
    wanted = servers(CHECKOUT / f"Pulumi.{name}.yaml")
    there = [server for server in wanted if server in outputs.get("ssh", {})]
    if not there:
        raise VerifyError(f"stack {name} has no machine {wanted[0]}: bring it up first, `pulumi up --stack {name}`")
    with tempfile.TemporaryDirectory() as folder:
        known_hosts = Path(folder) / "known_hosts"
        known_hosts.write_text("".join(f"{outputs['knownHosts'][server]}\n" for server in there), encoding="utf-8")
        settings = (
            "StrictHostKeyChecking=yes",
            f"UserKnownHostsFile={known_hosts}",
            "GlobalKnownHostsFile=none",
            "ConnectTimeout=20",
            "ServerAliveInterval=15",
        )
        options = [word for setting in settings for word in ("-o", setting)]
        logins = [shlex.split(outputs["ssh"][server]) for server in there]
        return again([[program, *options, *identity(name), login] for program, login in logins])


def identity(name: str) -> list[str]:
    """The key of SSH_KEY, or the one `make new-stack` makes, besides whatever ssh tries by itself."""
    given = os.environ.get("SSH_KEY", "").strip()
    key = Path(given or f"~/.ssh/mig-k8s-{name}").expanduser()
    return ["-i", str(key)] if given or key.exists() else []


def _outputs(name: str) -> dict[str, Any]:
    command = ["pulumi", "stack", "output", "--json", "--stack", name]
    try:
        done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError:
        raise VerifyError(
            "pulumi is not on PATH: install it (www.pulumi.com/docs/install) and `pulumi login`"
        ) from None
    if done.returncode:
        raise VerifyError(f"`{shlex.join(command)}` failed, see above")
    outputs: dict[str, Any] = json.loads(done.stdout)
    return outputs


def _read(file: Path) -> VerificationReport:
    """A report as `pulumi stack output --json verification` or mig-verify printed it."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise VerifyError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise VerifyError(f"{file} is no text: {error.reason}") from None
    return _report(text, f"{file} (`pulumi stack output --json verification` prints a report)")


def _report(text: str, where: str) -> VerificationReport:
    try:
        return VerificationReport.from_json(text)
    except DocumentError as error:
        raise VerifyError(f"{where}: {error}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
