"""Have RKE2 make the certificates of a living stack anew, and read the kubeconfig again, whose own is among them.

    make rotate-certificates NAME=prod [SSH_KEY=~/.ssh/id_ed25519]

Servers one after the other, then agents (scripts/stack.py); RKE2 restarts on each, pods go on. Whatever cuts it, the
same command goes on: a machine with certificates of today is left as it is. The exit status is 1 where any is left.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence

from scripts.stack import CHECKOUT, NO_WAY_IN, Stack, StackError, no_way_in

KUBECONFIG_ALONE = ("--target-replace", "**::cluster-kubeconfig", "--target", "**::cluster-kubernetes")
"""What has `pulumi up` read the kubeconfig again, give it to the provider that uses it, and do nothing else."""
_COMMAND = "sudo mig-k8s rotate-certificates"
_AGAIN = "The same command goes on from there"


def main(arguments: list[str]) -> int:
    """Rotate; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.rotate_certificates", description=_words())
    parser.add_argument("stack", metavar="STACK", help="name of a stack of yours")
    name = parser.parse_args(arguments).stack
    try:
        with Stack(name).machines() as machines:
            servers, agents = (
                {each.name: each.ssh for each in machines if each.role == role} for role in ("server", "agent")
            )
            left = rotate(servers, agents)
        _read_kubeconfig(name)
        conclude(left)
    except StackError as error:
        print(f"rotate-certificates: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nrotate-certificates: interrupted. {_AGAIN}", file=sys.stderr)
        return 130
    print(f"Fetch it again: pulumi stack output kubeconfig --show-secrets --stack {name}")
    return 0


def rotate(servers: Mapping[str, Sequence[str]], agents: Mapping[str, Sequence[str]]) -> list[str]:
    """Have every machine do it, one after the other; the agents that let nobody in. Raises StackError.

    By name of a machine an ssh command without its remote half. What the machines say goes to standard error.
    """
    left = []
    for name, ssh in {**servers, **agents}.items():
        status = subprocess.run([*ssh, _COMMAND], stdin=subprocess.DEVNULL, check=False).returncode
        if status == NO_WAY_IN and name in agents:
            left.append(name)
        elif status == NO_WAY_IN:
            raise StackError(f"{no_way_in(ssh)} No server after {name} was touched, and no agent. {_AGAIN}")
        elif status:
            raise StackError(
                f"`{_COMMAND}` ended on {name} with status {status}, see above; no machine after it was touched. If it "
                f"does not know that command, it has an older release: `pulumi up` brings this one. {_AGAIN}"
            )
    return left


def conclude(left: Sequence[str]) -> None:
    """Say how it ended. Raises StackError where agents are left."""
    if left:
        raise StackError(
            f"all machines have new certificates but {', '.join(left)}, which let nobody in, see above. An agent gets "
            f"new ones when it starts. {_AGAIN}"
        )


def _read_kubeconfig(name: str) -> None:
    command = ["pulumi", "up", "--stack", name, "--yes", "--skip-preview", "--suppress-outputs", *KUBECONFIG_ALONE]
    if subprocess.run(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, check=False).returncode:
        raise StackError(
            f"the certificates are new, and the kubeconfig was not read again, see above: `{shlex.join(command)}` does "
            "it. Where the stack file has changes that it needs, `pulumi up` first"
        )


def _words() -> str:
    return str(__doc__).partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
