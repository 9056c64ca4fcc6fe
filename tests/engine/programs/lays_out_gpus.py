"""A Pulumi program that asks one machine, the test's, for the layout of `Pulumi.dev.yaml`."""

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.environ["TEST_CHECKOUT"])
sys.path.insert(1, os.environ["TEST_CHECKOUT"] + "/tests/engine/programs")

import pulumi
from on_loopback import access_to, at_port

from components.mig_instances import MigInstances, MigInstancesArgs
from plan import plan_stack, read_settings
from plan.stack_file.document import read_stack_file

CONNECTION: dict[str, Any] = json.loads(os.environ["TEST_CONNECTION"])


def on_the_tests_machine(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    """The machine's own program stands elsewhere there."""
    if args.type_ != "command:remote:Command":
        return None
    create = pulumi.Output.from_input(args.props["create"]).apply(
        lambda line: os.environ["TEST_PROGRAM"] + line.partition("/usr/local/sbin/mig-k8s")[2]
    )
    connection = at_port(args.props, CONNECTION["port"])
    return pulumi.ResourceTransformationResult(
        props={**args.props, "create": create, "connection": connection}, opts=args.opts
    )


pulumi.runtime.register_stack_transformation(on_the_tests_machine)
file = read_stack_file(Path(os.environ["TEST_CHECKOUT"]) / "Pulumi.dev.yaml")
settings = read_settings(file.mapping, location=file.location, secrets=file.secrets, ask_for_secrets=False)
stack = plan_stack(settings)
(node,) = stack.nodes
access = access_to(CONNECTION, vm_id="first")
MigInstances(node.name, MigInstancesArgs(layout=stack.host_layouts[node.name], access=access))
