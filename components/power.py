"""Whether a machine runs, as Azure tells: nothing is run on one that does not, and what was to be done there waits."""

from collections.abc import Sequence
from importlib.metadata import version

import pulumi
import pulumi_azure_native as azure
from pulumi_command import remote

from machine.documents.expectations import Away

_POWERED_OFF = ("stopping", "stopped", "deallocating", "deallocated")
"""Whatever else Azure says is waited for by dialling: `starting`, `running`, nothing yet, a word of tomorrow's."""


def away(machine: azure.compute.VirtualMachine, group: pulumi.Input[str]) -> pulumi.Output[Away | None]:
    """None for a machine that runs; unknown as long as there is none. One that is not there runs nothing either."""
    return pulumi.Output.all(group, machine.name).apply(lambda known: _asked(*known))


async def _asked(group: str, name: str) -> Away | None:
    """What Azure says now. That it says nothing is no reason not to try."""
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


def left_while_away(
    *groups: Sequence[pulumi.Output[Away | None]], connection: remote.ConnectionArgs | None = None
) -> pulumi.ResourceOptions:
    """Options of what is left as the state has it while of one of these groups no machine runs.

    Whether that is so is known only once Azure has been asked, and `ignore_changes` must be known when a resource is
    declared; the engine runs a transform in between. `connection` is that of a command which the state does not have:
    there is nothing to leave, so it is dialled in vain, but not for long.
    """

    async def leave(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        for group in groups:
            for machine in group:
                if await machine.future() is None:
                    break
            else:
                props = {**args.props, **({"connection": connection} if connection else {})}
                return pulumi.ResourceTransformResult(
                    props, pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(ignore_changes=["*"]))
                )
        return None

    return pulumi.ResourceOptions(transforms=[leave])
