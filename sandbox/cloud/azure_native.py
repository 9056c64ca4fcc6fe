"""Stand-in for pulumi-resource-azure-native: our reading of Azure, where a virtual machine is one of the sandbox's.

Without a sandbox (MIG_K8S_SANDBOX is not set) previews work and everything else is refused.
"""

import hashlib
import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor

from sandbox import person
from sandbox.cloud import (
    arm,
    azure_arguments,
    balancing_rules,
    limits,
    load_balancer,
    power,
    private_addresses,
    security_rules,
)
from sandbox.cloud.arm import KINDS, Cloud, Records
from sandbox.cloud.balancing_rules import LOAD_BALANCER, LoadBalancers
from sandbox.cloud.machine_spec import MACHINE, machine_spec
from sandbox.cloud.power import Machines
from sandbox.cloud.private_addresses import INTERFACE
from sandbox.error import SandboxError
from sandbox.host import access, machine
from sandbox.instance import Sandbox
from sandbox.providers.resource_provider import Failure, ResourceProvider, serve
from sandbox.providers.values import UNKNOWN, Properties

_ADDRESS, _SECURITY_GROUP = "network:PublicIPAddress", "network:NetworkSecurityGroup"
_FIRST_PUBLIC, _LAST_PUBLIC = 10, 253
_KEPT_IN_PREVIEW = ("name", "location")
"""All that the real provider knows of the state while it previews an update (`stableOutputs` in its provider.go)."""


def _kind(token: str) -> str:
    return token.removeprefix("azure-native:")


class AzureNative(ResourceProvider):
    """Resources in a file, machines and connections by the objects that boot and carry them."""

    name = "azure-native"
    delete_before_replace = True

    def __init__(self, machines: Machines = machine, balancers: LoadBalancers = load_balancer) -> None:
        self._location: str | None = None
        self._machines, self._balancers = machines, balancers

    def configure(self, config: Properties) -> None:
        self._location = config.get("location")

    def check(self, token: str, name: str, old: Properties, new: Properties, seed: bytes) -> Properties:
        kind = _kind(token)
        if kind not in KINDS:
            raise Failure(f"the sandbox does not stand in for {token}")
        own = KINDS[kind].own_name
        if not new.get(own):
            new[own] = old.get(own) or name + hashlib.sha256(seed).hexdigest()[:8]
        if self._location and not new.get("location") and azure_arguments.has_property(kind, "location"):
            new["location"] = self._location
        azure_arguments.require_known_shape(kind, new)
        azure_arguments.require_what_arm_requires(kind, new)
        return new

    def replaces(self, token: str, path: str) -> bool:
        return KINDS[_kind(token)].replaces(path)

    def preview(self, token: str, old: Properties, new: Properties) -> Properties:
        seen = {**new, **{key: old[key] for key in _KEPT_IN_PREVIEW if key in old}}
        if _kind(token) == INTERFACE and isinstance(new.get("ipConfigurations"), list):
            # What Azure fills in is unknown inside the lists and objects of the inputs, too.
            seen["ipConfigurations"] = [{"privateIPAddress": UNKNOWN, **each} for each in new["ipConfigurations"]]
        return seen

    def create(self, token: str, _urn: str, inputs: Properties, _timeout: float) -> tuple[str, Properties]:
        kind, sandbox = _kind(token), _sandbox()
        new_id = arm.identifier(kind, inputs)
        with Cloud.of(sandbox).open() as records:
            _require_surroundings(records, kind, new_id, inputs)
            if new_id in records:
                raise Failure(f"cannot create already existing resource '{new_id}'")
            outputs = _outputs(sandbox, records, kind, new_id, inputs)
            record = {"kind": kind, "inputs": inputs, "outputs": outputs}
            spec = machine_spec(records, record) if kind == MACHINE else None
            records[new_id] = record
        if spec is not None:
            try:
                self._machines.start(sandbox, spec)
            except SandboxError as error:
                with Cloud.of(sandbox).open() as records:
                    records.pop(new_id, None)
                self._machines.stop(sandbox, spec.vm_id)
                raise Failure(f"the machine {spec.name} did not start: {error}") from error
            _tell_logins(sandbox)
        if kind == LOAD_BALANCER:
            self._balancers.start(sandbox, new_id)
        return new_id, outputs

    def update(self, token: str, _urn: str, _old: Properties, new: Properties, _timeout: float) -> Properties:
        kind, sandbox = _kind(token), _sandbox()
        existing_id = arm.identifier(kind, new)
        with Cloud.of(sandbox).open() as records:
            _require_surroundings(records, kind, existing_id, new)
            arm.require_changeable(records, kind, existing_id, new)
            outputs = _outputs(sandbox, records, kind, existing_id, new)
            limits.require_possible(records[existing_id], existing_id, new, outputs)
            records[existing_id] |= {"inputs": new, "outputs": outputs}
        return outputs

    def read(
        self, token: str, resource_id: str, state: Properties, inputs: Properties
    ) -> tuple[str, Properties, Properties]:
        kind = _kind(token)
        with Cloud.of(_sandbox()).open() as records:
            record = records.get(resource_id)
        if record is None:
            return "", {}, {}
        now: Properties = record["outputs"]
        if not inputs:  # an import: whatever is an input of this kind
            return resource_id, now, {key: now[key] for key in now if azure_arguments.has_property(kind, key)}
        # As in the real provider, what has not changed in Azure stays as the program wrote it.
        seen = {key: given if now.get(key) == state.get(key) else now.get(key) for key, given in inputs.items()}
        for section, secret in KINDS[kind].write_only:
            if secret in (inputs.get(section) or {}):
                seen[section] = {**(seen[section] or {}), secret: inputs[section][secret]}
        return resource_id, now, seen

    def delete(self, token: str, _urn: str, resource_id: str, state: Properties) -> None:
        sandbox = _sandbox()
        records = Cloud.of(sandbox).read()
        # A group takes along whatever is in it, at once.
        going = [(each, records[each]["kind"], records[each]["outputs"]) for each in arm.inside(records, resource_id)]
        going = going or [(resource_id, _kind(token), state)]
        machines = {each: outputs["vmId"] for each, kind, outputs in going if kind == MACHINE and "vmId" in outputs}
        with ThreadPoolExecutor() as workers:
            ends = {each: workers.submit(self._machines.stop, sandbox, vm_id) for each, vm_id in machines.items()}
        for each, end in ends.items():
            try:
                end.result()
            except SandboxError as error:
                raise Failure(f"the machine {each} did not end: {error}") from error
        if machines:
            _tell_logins(sandbox)
        with Cloud.of(sandbox).open() as records:
            arm.take_away(records, resource_id)
        for each, kind, _ in going:
            if kind == LOAD_BALANCER:
                self._balancers.stop(sandbox, each)

    def invoke(self, function: str, arguments: Properties) -> Properties:
        if function == "azure-native:authorization:getClientConfig":
            return dict.fromkeys(("clientId", "objectId", "subscriptionId", "tenantId"), arm.SUBSCRIPTION)
        kind = re.sub(r":get(\w+)$", r":\1", _kind(function))
        if kind not in KINDS:
            raise Failure(f"the sandbox does not stand in for {function}")
        wanted, sandbox = arm.identifier(kind, arguments), _sandbox()
        with Cloud.of(sandbox).open() as records:
            if wanted not in records:
                raise Failure(f'Status=404 Code="ResourceNotFound" Message="{wanted} was not found."')
            record = records[wanted]
        more = power.expanded(sandbox, record, arguments.get("expand"), self._machines) if kind == MACHINE else {}
        return {"id": wanted, **record["outputs"], **more}


def _sandbox() -> Sandbox:
    try:
        return Sandbox.from_environment()
    except SandboxError as error:
        starts = person.command("make sandbox")
        raise Failure(
            f"nothing can be made without a sandbox, only previewed; `{starts}` starts one ({error})"
        ) from None


def _require_surroundings(records: Records, kind: str, resource_id: str, inputs: Properties) -> None:
    own = balancing_rules.own_parts(resource_id, inputs) if kind == LOAD_BALANCER else ()
    arm.require_surroundings(records, kind, resource_id, inputs, own_parts=own)
    if kind == LOAD_BALANCER:
        balancing_rules.require_possible_balancer(records, resource_id, inputs)


def _tell_logins(sandbox: Sandbox) -> None:
    """Write how to log in as soon as there is a machine, as Azure's portal shows it."""
    with Cloud.of(sandbox).open():  # several machines may be made at once
        access.write_ssh_files(sandbox)


def _outputs(sandbox: Sandbox, records: Records, kind: str, resource_id: str, inputs: Properties) -> Properties:
    """What Azure answers: the inputs without what it never returns, and what it decides itself."""
    before: Properties = records.get(resource_id, {}).get("outputs", {})
    outputs: Properties = json.loads(json.dumps(inputs))
    outputs |= {
        "name": resource_id.rsplit("/", 1)[1],
        "type": KINDS[kind].arm,
        "provisioningState": "Succeeded",
        "azureApiVersion": "sandbox",
    }
    for section, secret in KINDS[kind].write_only:
        (outputs.get(section) or {}).pop(secret, None)
    if kind == INTERFACE:
        outputs["ipConfigurations"] = private_addresses.allocate(records, resource_id, outputs)
    if kind == _SECURITY_GROUP:
        security_rules.require_prefixes(resource_id, inputs)
    if kind == MACHINE:
        outputs["vmId"] = before.get("vmId") or str(uuid.uuid4())
    if kind == _ADDRESS:
        outputs["ipAddress"] = before.get("ipAddress") or _free_address(sandbox, records)
        if label := (inputs.get("dnsSettings") or {}).get("domainNameLabel"):
            outputs["dnsSettings"]["fqdn"] = f"{label}.{inputs.get('location')}.cloudapp.azure.com"
    return outputs


def _free_address(sandbox: Sandbox, records: Records) -> str:
    taken = {record["outputs"].get("ipAddress") for record in records.values()}
    for number in range(_FIRST_PUBLIC, _LAST_PUBLIC + 1):
        if (address := f"{sandbox.network}.{number}") not in taken:
            return address
    raise Failure(f'Code="PublicIPCountLimitReached" Message="no address is left in {sandbox.network}.0/24"')


if __name__ == "__main__":
    serve(AzureNative())
