"""A Pulumi program that asks one machine, the test's, for the layout of `Pulumi.dev.yaml`."""

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["TEST_CHECKOUT"])

import pulumi
from pulumi_command import remote

from components.machine_command import Access
from components.mig_instances import MigInstances, MigInstancesArgs
from plan import Addresses, plan_stack, read_settings
from plan.stack_file.document import read_stack_file

CONNECTION: dict[str, Any] = json.loads(os.environ["TEST_CONNECTION"])


def at_port(connection: remote.ConnectionArgs) -> remote.ConnectionArgs:
    connection.port = CONNECTION["port"]
    return connection


def on_the_tests_machine(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    """The machine's own program stands elsewhere there, and its port is not 22."""
    if args.type_ != "command:remote:Command":
        return None
    create = pulumi.Output.from_input(args.props["create"]).apply(
        lambda line: os.environ["TEST_PROGRAM"] + line.partition("/usr/local/sbin/mig-k8s")[2]
    )
    connection = pulumi.Output.from_input(args.props["connection"]).apply(at_port)
    return pulumi.ResourceTransformationResult(
        props={**args.props, "create": create, "connection": connection}, opts=args.opts
    )


pulumi.runtime.register_stack_transformation(on_the_tests_machine)
file = read_stack_file(Path(os.environ["TEST_CHECKOUT"]) / "Pulumi.dev.yaml")
settings = read_settings(file.mapping, location=file.location, secrets=file.secrets, ask_for_secrets=False)
stack = plan_stack(settings)
(node,) = stack.nodes
access = Access(
    address=pulumi.Output.from_input("127.0.0.1"),
    user="azureuser",
    host_key=CONNECTION["hostKey"],
    known_host_keys=(CONNECTION["hostKey"],),
    private_key=pulumi.Output.secret(CONNECTION["privateKey"]),
    agent_socket_path=None,
    vm_id=pulumi.Output.from_input("first"),
    addresses=pulumi.Output.from_input(Addresses(public="127.0.0.1", private="127.0.0.1")),
    away=pulumi.Output.from_input(None),
    servers=(),
)
MigInstances(node.name, MigInstancesArgs(layout=stack.host_layouts[node.name], access=access))
