"""The way of these programs to a machine of a test's, which listens on loopback at a port of its own."""

from typing import Any

import pulumi
from pulumi_command import remote

from components.machine_command import Access
from plan import Addresses


def access_to(connection: dict[str, Any], *, vm_id: str) -> Access:
    """What the product would know of the machine with this `SshServer.connection`."""
    return Access(
        address=pulumi.Output.from_input("127.0.0.1"),
        user="azureuser",
        host_key=connection["hostKey"],
        known_host_keys=(connection["hostKey"],),
        private_key=pulumi.Output.secret(connection["privateKey"]),
        agent_socket_path=None,
        vm_id=pulumi.Output.from_input(vm_id),
        addresses=pulumi.Output.from_input(Addresses(public="127.0.0.1", private="127.0.0.1")),
        away=pulumi.Output.from_input(None),
        servers=(),
    )


def at_port(props: Any, port: int) -> pulumi.Output[remote.ConnectionArgs]:  # noqa: ANN401 - the SDK's own inputs
    """The connection of a command with these inputs, at this port: a real machine always listens at 22."""

    def moved(connection: remote.ConnectionArgs) -> remote.ConnectionArgs:
        connection.port = port
        return connection

    return pulumi.Output.from_input(props["connection"]).apply(moved)
