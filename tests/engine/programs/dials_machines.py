"""A Pulumi program that runs `true` on each machine of `TEST_MACHINES` as the product does: by its own `Access`."""

import json
import os
import sys
from typing import Any

sys.path.insert(0, os.environ["TEST_CHECKOUT"])
sys.path.insert(1, os.environ["TEST_CHECKOUT"] + "/tests/engine/programs")

import pulumi
from on_loopback import access_to, at_port
from pulumi_command import remote

from components.machine_command import machine_command

machines: dict[str, Any] = json.loads(os.environ["TEST_MACHINES"])


def through_its_port(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    if args.type_ != "command:remote:Command":
        return None
    connection = at_port(args.props, machines[args.name]["port"])
    return pulumi.ResourceTransformationResult(props={**args.props, "connection": connection}, opts=args.opts)


pulumi.runtime.register_stack_transformation(through_its_port)
parent = pulumi.ComponentResource("test:index:Machines", "machines")
for name, machine in machines.items():
    machine_command(
        name,
        "true",
        access=access_to(machine, vm_id="of " + name),
        timeout_seconds=10,
        logging=remote.Logging.NONE,
        opts=pulumi.ResourceOptions(parent=parent),
    )
