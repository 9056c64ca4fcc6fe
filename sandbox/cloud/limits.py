"""What Azure does and the sandbox cannot: it would take a stop and a start of the machine."""

import re
from typing import Any

from sandbox.cloud.private_addresses import INTERFACE
from sandbox.providers.resource_provider import Failure
from sandbox.providers.values import Properties, changes

_FIXED_INPUTS = {
    "compute:VirtualMachine": re.compile(r"hardwareProfile|networkProfile"),
    INTERFACE: re.compile(r"ipConfigurations(?!\[\d+\]\.privateIPA)"),
}
_ADDRESS = re.compile(r"ipConfigurations.*\.privateIPAddress$")


def require_possible(record: dict[str, Any], existing_id: str, new: Properties, outputs: Properties) -> None:
    """Refuse to change the size of a running machine, or its interface, unless the address stays the same."""
    kind = record["kind"]
    fixed = [path for path, _ in changes(record["inputs"], new) if kind in _FIXED_INPUTS]
    paths = [path for path in fixed if _FIXED_INPUTS[kind].match(path)]
    if kind == INTERFACE:
        paths += [path for path, _ in changes(record["outputs"], outputs) if _ADDRESS.match(path)]
    if paths:
        raise Failure(f"the sandbox cannot change {paths[0]} of {existing_id}: replace it, or leave it as it is")
