"""The configuration of a machine: the files whose content the stack decides, as they go over SSH."""

from machine.documents.configuration import Configuration
from plan.machine import rke2
from plan.machine.addresses import Addresses
from plan.machine.desired_state import desired_state
from plan.machine.node import NodePlan
from plan.yaml_text import yaml_text


def configuration(node: NodePlan, addresses: Addresses, *, token: str | None = None) -> Configuration:
    """Everything of the stack's on a machine. `token`, which is secret, is left out where no other machine is."""
    return Configuration(
        desired_state=desired_state(node),
        rke2_config=yaml_text(rke2.config(node, addresses)),
        rke2_token=f"{token.strip()}\n" if token is not None and node.has_token else None,
    )
