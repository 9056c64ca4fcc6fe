"""kubectl, ssh and Pulumi, as people look at a sandbox with them."""

import os
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
    environment = opened(name)
    flags = {
        "kubectl": ["--kubeconfig", str(access.kubeconfig(environment.root))],
        "ssh": ["-F", str(access.ssh_config(environment.root))],
        "pulumi": ["--cwd", str(environment.project())],
    }
    variables = environment.variables()
    if client != "pulumi":  # a person's program is not one of the engine's, and goes on when those are ended
        variables = {name: value for name, value in variables.items() if not name.startswith("PULUMI_")}
    os.chdir(CHECKOUT)
    os.execvpe(client, [client, *flags[client], *rest], variables)  # noqa: S606 - no shell is meant


def opened(name: str) -> Environment:
    """The environment of a sandbox that is up. Raises SandboxError if there is none."""
    return Environment(Sandbox.load(default_root(name)).root, machines=True)
