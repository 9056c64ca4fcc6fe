"""Configurations of the development stack with any number of machines."""

from pathlib import Path
from typing import Any

import yaml

from plan.stack_file.document import read_stack_file

ROOT = Path(__file__).parents[2]
DEVELOPMENT = ROOT / "Pulumi.dev.yaml"


def configuration(machines: int) -> dict[str, Any]:
    """The sections of a stack of one server and one pool with all other machines, with networks large enough."""
    mapping = read_stack_file(DEVELOPMENT).mapping
    agents = {"name": "agent", "role": "agent", "count": machines - 1, "migDevices": {"1g.10gb": 7}}
    pools = [mapping["nodePools"][0], *([agents] if machines > 1 else [])]
    return {**mapping, "nodePools": pools, "network": {"subnetCidr": "10.60.0.0/20", "podCidr": "10.128.0.0/14"}}


def stack_file(machines: int) -> str:
    """The text of the development stack's file with that many machines."""
    document = yaml.safe_load(DEVELOPMENT.read_text())
    document["config"] |= {f"mig-k8s:{section}": value for section, value in configuration(machines).items()}
    return yaml.safe_dump(document)
