"""A Pulumi program that runs `true` on each machine of `TEST_MACHINES` as the product does: by its own `Access`."""

import json
import os
import sys
from typing import Any

sys.path.insert(0, os.environ["TEST_CHECKOUT"])

import pulumi
from pulumi_command import remote

from components.machine_command import Access, machine_command
from plan import Addresses

machines: dict[str, Any] = json.loads(os.environ["TEST_MACHINES"])


def at_port(connection: remote.ConnectionArgs, port: int) -> remote.ConnectionArgs:
    connection.port = port
    return connection


def through_its_port(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    """Each test machine listens at a port of its own; a real one always at 22."""
    if args.type_ != "command:remote:Command":
        return None
    connection = pulumi.Output.from_input(args.props["connection"]).apply(
        lambda known: at_port(known, machines[args.name]["port"])
    )
    return pulumi.ResourceTransformationResult(props={**args.props, "connection": connection}, opts=args.opts)


pulumi.runtime.register_stack_transformation(through_its_port)
parent = pulumi.ComponentResource("test:index:Machines", "machines")
for name, machine in machines.items():
    access = Access(
        address=pulumi.Output.from_input("127.0.0.1"),
        user="azureuser",
        host_key=machine["hostKey"],
        known_host_keys=(machine["hostKey"],),
        private_key=pulumi.Output.secret(machine["privateKey"]),
        agent_socket_path=None,
        vm_id=pulumi.Output.from_input("of " + name),
        addresses=pulumi.Output.from_input(Addresses(public="127.0.0.1", private="127.0.0.1")),
        away=pulumi.Output.from_input(None),
        servers=(),
    )
    machine_command(
        name,
        "true",
        access=access,
        timeout_seconds=10,
        logging=remote.Logging.NONE,
        opts=pulumi.ResourceOptions(parent=parent),
    )
