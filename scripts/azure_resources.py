"""What Azure has, asked by its provider from a stack that is thrown away: the real one stays as it is."""

import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from scripts.engine import Engine
from scripts.stack import StackError

PREFIX = "azure-native:"
_KINDS = {
    "resources:ResourceGroup": (),
    "network:VirtualNetwork": ("Microsoft.Network", ("virtualNetworks", "virtualNetworkName")),
    "network:Subnet": ("Microsoft.Network", ("virtualNetworks", "virtualNetworkName"), ("subnets", "subnetName")),
    "network:NetworkSecurityGroup": ("Microsoft.Network", ("networkSecurityGroups", "networkSecurityGroupName")),
    "network:PublicIPAddress": ("Microsoft.Network", ("publicIPAddresses", "publicIpAddressName")),
    "network:NetworkInterface": ("Microsoft.Network", ("networkInterfaces", "networkInterfaceName")),
    "network:LoadBalancer": ("Microsoft.Network", ("loadBalancers", "loadBalancerName")),
    "compute:VirtualMachine": ("Microsoft.Compute", ("virtualMachines", "vmName")),
    "devtestlab:GlobalSchedule": ("Microsoft.DevTestLab", ("schedules", "name")),
}
"""The provider of a kind in Azure's ids, and what follows it: (its word there, the input with the name)."""
_SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the engine's mark of a secret, the same for all
_ABSENT = "does not exist"
_NAME = "recover"


def identifier(kind: str, inputs: Mapping[str, Any], subscription: str) -> str:
    """Azure's id of a resource of the program. Raises StackError for a kind that it does not have."""
    known: tuple[Any, ...] | None = _KINDS.get(kind.removeprefix(PREFIX))
    if known is None:
        raise StackError(f"{kind} was being made, and how Azure calls one is not known here. Nothing was changed")
    group = f"/subscriptions/{subscription}/resourceGroups/{inputs['resourceGroupName']}"
    if not known:
        return group
    namespace, *parts = known
    return "/".join([group, "providers", namespace, *(f"{word}/{inputs[name]}" for word, name in parts)])


class Azure:
    """Azure as the stack's own provider reaches it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def outputs(self, kind: str, resource_id: str, version: str) -> dict[str, Any] | None:
        """What the provider of this version reads of a resource; None where it is not there. Raises StackError."""
        asked = {"type": kind, "name": _NAME, "id": resource_id} | ({"version": version} if version else {})
        file = self._engine.folder / "asked.json"
        file.write_text(json.dumps({"resources": [asked]}), encoding="utf-8")
        flags = ("--yes", "--skip-preview", "--protect=false", "--generate-code=false", "--suppress-outputs")
        done = self._engine.tried("import", "--file", str(file), *flags)
        if done.returncode:
            said = (done.stdout + done.stderr).strip()
            if f"'{resource_id}' {_ABSENT}" in said:
                return None
            raise StackError(f"Azure could not be asked for {resource_id}. Nothing was changed:\n{said}")
        found = [each for each in self._engine.exported()["deployment"]["resources"] if each.get("id") == resource_id]
        outputs: dict[str, Any] = found[0].get("outputs", {}) if found else {}
        if not outputs:  # an older engine takes an empty answer for a resource
            return None
        if _SECRET in json.dumps(outputs):
            raise StackError(f"{kind} tells secrets of {resource_id}, which cannot be carried over")
        return outputs


@contextmanager
def azure_of(engine: Engine) -> Iterator[Azure]:
    """Azure by the provider's configuration of a stack and the environment that it is run in."""
    configured = json.loads(engine.output("config", "--json", "--show-secrets", *engine.config))
    keys = {key: each for key, each in configured.items() if key.startswith(PREFIX)}
    with tempfile.TemporaryDirectory() as name:  # 0700
        folder = Path(name)
        (folder / "state").mkdir()
        (folder / "Pulumi.yaml").write_text(f"name: {_NAME}\nruntime: python\n", encoding="utf-8")
        foreign = ("PULUMI_STACK", "PULUMI_CONFIG_PASSPHRASE_FILE")
        variables = {key: value for key, value in engine.variables.items() if key not in foreign}
        variables["PULUMI_BACKEND_URL"] = f"file://{folder / 'state'}"
        variables["PULUMI_CONFIG_PASSPHRASE"] = secrets.token_urlsafe(32)
        asking = Engine(stack=_NAME, folder=folder, variables=variables)
        asking.output("stack", "init", "--no-select")
        file = folder / f"Pulumi.{_NAME}.yaml"
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        document["config"] = {key: each["value"] for key, each in keys.items() if not each["secret"]}
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        for key, each in keys.items():
            if each["secret"]:  # by standard input: a command line can be read by everybody
                asking.output("config", "set", "--secret", key, stdin=each["value"])
        yield Azure(asking)


def subscription_of(engine: Engine, resources: list[dict[str, Any]]) -> str:
    """The stack's subscription: what its resources are in, else what the provider would take. Raises StackError."""
    ids = (each.get("id", "") for each in resources if each["type"].startswith(PREFIX))
    if known := [each.split("/")[2] for each in ids if each.startswith("/subscriptions/")]:
        return str(known[0])
    configured = engine.tried("config", "get", f"{PREFIX}subscriptionId", *engine.config)
    if not configured.returncode:
        return configured.stdout.strip()
    if given := engine.variables.get("ARM_SUBSCRIPTION_ID"):
        return given
    try:
        command = ["az", "account", "show", "--query", "id", "--output", "tsv"]
        done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    except FileNotFoundError:
        done = None
    if done is None or done.returncode:
        raise StackError("nothing says which subscription the stack is in: give ARM_SUBSCRIPTION_ID=…")
    return done.stdout.strip()
