"""Whether a machine runs, as Azure tells: nothing is run on one that does not, and what was to be done there waits."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import pulumi
import pulumi_azure_native as azure

from machine.documents.expectations import Away

_POWERED_OFF = ("stopping", "stopped", "deallocating", "deallocated")
"""The power states of a machine that is off. In any other (`starting`, `running`, none, unknown) it is dialled."""


def away(machine: azure.compute.VirtualMachine, group: pulumi.Input[str]) -> pulumi.Output[Away | None]:
    """Why a machine runs nothing: it is off, or not there. None where it runs; unknown as long as there is none."""
    return pulumi.Output.all(group, machine.name).apply(lambda known: _asked(*known))


async def _asked(group: str, name: str) -> Away | None:
    """What Azure says now. Where it says nothing, the machine is dialled all the same."""
    try:
        seen = await pulumi.runtime.invoke_async(
            "azure-native:compute:getVirtualMachine",
            {"resourceGroupName": group, "vmName": name, "expand": "instanceView"},
            pulumi.InvokeOptions(version=version("pulumi-azure-native")),
        )
    except Exception as error:  # noqa: BLE001 - the SDK raises no other
        if "ResourceNotFound" not in str(error):
            pulumi.log.warn(f"Azure does not tell whether {name} runs, so it is taken to run: {error}")
            return None
        remedy = "`pulumi refresh`, then `pulumi up` makes it anew, with an empty disk."
        found = Away(seen="gone", remedy=f"Evicted with `evictionPolicy: Delete`, or deleted by hand? {remedy}")
    else:
        codes = [str(status.get("code")) for status in (seen.get("instanceView") or {}).get("statuses") or ()]
        power = next((code.removeprefix("PowerState/") for code in codes if code.startswith("PowerState/")), "")
        if power not in _POWERED_OFF:
            return None
        start = f"`az vm start --resource-group {group} --name {name}`"
        found = Away(seen=power, remedy=f"{start}, then `pulumi up` does what waits.")
    pulumi.log.warn(
        f"{name} is {found.seen} in Azure: nothing is run on it, and what this stack file changes there waits. "
        f"{found.remedy}"
    )
    return found


def idle(*groups: Sequence[pulumi.Output[Away | None]]) -> pulumi.Output[bool]:
    """Whether one of these groups has no machine that runs; a machine that is not there yet is taken to run.

    The groups are read when the whole program has been declared: a list may still grow until then.
    """

    async def asked() -> bool:
        for group in groups:
            if group and await _nobody_runs(group):
                return True
        return False

    return pulumi.Output.from_input(asked())


async def _nobody_runs(group: Sequence[pulumi.Output[Away | None]]) -> bool:
    # Ask no more machines than needed: one that is rebuilt in its turn may wait for what waits here.
    for machine in group:
        if await machine.future() is None:
            return False
    return True


def left_while(is_idle: pulumi.Output[bool], opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """These options for a resource that is left as the state has it while `is_idle`. They must not be merged any more.

    That is known only when Azure has been asked, and `ignore_changes` is a plain list; the SDK reads it after what the
    resource depends on, for which it waits. ADR 0022 says why it is not a resource transform.
    """
    ignored = list(opts.ignore_changes or ())

    def ignore(nobody_runs: bool) -> None:
        if nobody_runs:
            ignored.append("*")

    asked: list[pulumi.Input[Any]] = [is_idle.apply(ignore)]
    left = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=asked))
    left.ignore_changes = ignored
    return left
