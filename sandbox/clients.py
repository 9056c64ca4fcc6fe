"""kubectl, ssh and Pulumi, as people look at a sandbox with them."""

import os
from collections.abc import Iterable
from typing import NoReturn

from sandbox.engine.environment import Environment
from sandbox.host import access
from sandbox.instance import Sandbox, default_root
from sandbox.virtualenv import CHECKOUT

ABOUT = {
    "kubectl": "kubectl on the sandbox's cluster",
    "ssh": "ssh MACHINE [COMMAND]",
    "pulumi": "the sandbox's own Pulumi, e.g. `pulumi stack output`",
}


def become(name: str, client: str, rest: list[str]) -> NoReturn:
    """Replace this process by one of them, on the sandbox of this name. Raises SandboxError if there is none."""
    words, variables = command(opened(name), client, rest)
    os.chdir(CHECKOUT)
    os.execvpe(client, words, variables)  # noqa: S606 - no shell is meant


def command(environment: Environment, client: str, rest: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """The words of a client's command line, and the variables that it runs with."""
    flags = {
        "kubectl": ["--kubeconfig", str(access.kubeconfig(environment.root))],
        "ssh": ["-F", str(access.ssh_config(environment.root))],
        "pulumi": ["--cwd", str(environment.project())],
    }
    variables = environment.variables()
    if client != "pulumi":  # a person's program is not one of the engine's, and goes on when those are ended
        variables = {name: value for name, value in variables.items() if not name.startswith("PULUMI_")}
    return [client, *flags[client], *rest], variables


def opened(name: str) -> Environment:
    """The environment of a sandbox that is up. Raises SandboxError if there is none."""
    return Environment(Sandbox.load(default_root(name)).root, machines=True)
