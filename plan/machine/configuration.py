"""The configuration of a machine: the files whose content the stack decides, as they go over SSH."""

from collections.abc import Sequence

from machine.documents.configuration import Administrator, Configuration
from plan.machine import rke2
from plan.machine.addresses import Addresses
from plan.machine.desired_state import desired_state
from plan.machine.host_keys import HostKey
from plan.machine.node import NodePlan
from plan.machine.tokens import agent_token, node_password
from plan.yaml_text import yaml_text


def configuration(
    node: NodePlan, addresses: Addresses, *, token: str | None = None, host_keys: Sequence[HostKey] = ()
) -> Configuration:
    """All files that the stack decides. `token` is the stack's server token; without it, only what is not secret."""
    state, config = desired_state(node), yaml_text(rke2.config(node, addresses))
    administrator = Administrator(node.vm.admin_username, node.vm.public_keys)
    if token is None:
        return Configuration(desired_state=state, rke2_config=config, administrator=administrator)
    agents = f"{agent_token(token)}\n"
    is_server = node.role == "server"
    return Configuration(
        desired_state=state,
        rke2_config=config,
        rke2_token=f"{token.strip()}\n" if is_server else agents,
        rke2_agent_token=agents if is_server else None,
        node_password=f"{node_password(token, node.name)}\n",
        administrator=administrator,
        host_keys=tuple(key.private for key in host_keys),
    )
