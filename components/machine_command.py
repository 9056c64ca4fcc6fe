"""A command on a machine over SSH, the one way this program runs one."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.dialling import AWAY, RUNNING, Dialling
from components.identity import digest
from components.power import idle, left_while
from machine.documents.expectations import Away
from plan import Addresses


@dataclass(frozen=True, kw_only=True)
class SecretInput:
    """Standard input with a secret in it."""

    text: pulumi.Output[str]
    identity: pulumi.Output[str]
    """Changes with the text and is not secret (`components.identity`)."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """The way to a machine by its address, also when it is rebuilt."""

    address: pulumi.Output[str]
    """Public IPv4 address; a rebuilt machine keeps it."""
    user: str
    host_key: str
    """The public half of the SSH host key that connections are checked against: `ssh-ed25519 AAAA…`."""
    known_host_keys: tuple[str, ...]
    """All host keys that it may show: more than that one while another takes its place."""
    private_key: pulumi.Input[str] | None
    """The administrator's. Secret. None: an SSH agent has it."""
    agent_socket_path: str | None
    addresses: pulumi.Output[Addresses]
    """The addresses that the machine's files contain."""

    @property
    def ssh_command(self) -> pulumi.Output[str]:
        """The command that an administrator types."""
        return pulumi.Output.concat("ssh ", self.user, "@", self.address)

    @property
    def private_address(self) -> pulumi.Output[str]:
        """The address by which the other machines reach it."""
        return self.addresses.apply(lambda known: known.private)

    def connection(self, dialling: Dialling, is_idle: pulumi.Input[bool] = False) -> remote.ConnectionArgs:
        """The connection of a command that dials in this way, or only for a short time where nobody can answer.

        That is so where the command is to be left as the state has it, and the state does not have it.
        """
        chosen = pulumi.Output.from_input(is_idle).apply(lambda in_vain: AWAY if in_vain else dialling)
        return remote.ConnectionArgs(
            host=self.address,
            user=self.user,
            private_key=self.private_key,
            agent_socket_path=self.agent_socket_path,
            host_key=self.host_key,
            dial_error_limit=chosen.apply(lambda each: each.limit),
            per_dial_timeout=chosen.apply(lambda each: each.seconds_per_dial),
        )

    @property
    def known_hosts_lines(self) -> pulumi.Output[str]:
        """The machine's lines of ~/.ssh/known_hosts: one but while its host key changes."""
        return self.address.apply(lambda address: "\n".join(f"{address} {key}" for key in self.known_host_keys))


@dataclass(frozen=True, kw_only=True)
class Access(Login):
    """The way to a machine, and which machine it is."""

    vm_id: pulumi.Output[str]
    """Changes when the machine is rebuilt, while its name, ARM id and addresses stay."""
    away: pulumi.Output[Away | None]
    """Why nothing can be run there; None: it runs."""
    servers: Sequence[pulumi.Output[Away | None]]
    """The same of all servers of its cluster, first that by which the cluster is reached. Complete when all machines
    are declared."""


def machine_command(  # noqa: PLR0913 - each is one property of the command
    name: str,
    command: pulumi.Input[str],
    *,
    access: Access,
    timeout_seconds: int,
    logging: remote.Logging,
    stdin: pulumi.Input[str] | SecretInput | None = None,
    triggers: Sequence[pulumi.Input[str]] = (),
    dialling: Dialling = RUNNING,
    needs: Sequence[pulumi.Output[Away | None]] = (),
    opts: pulumi.ResourceOptions,
) -> remote.Command:
    """`command` as root, run again when its stdin, one of `triggers` or the machine changes.

    `logging` is the stream shown while it runs; no line of that stream may reach 64 KiB, or the provider hangs.
    The timeout is the machine's: the provider gives up dialling (`components.dialling`), but never a running command.
    Secrets may go into `stdin` as `SecretInput`; never into `command`, which the provider prints when it fails, nor
    into `triggers`: the provider loses a secret that is unknown inside a list. There is no delete: on a replacement it
    would run after the new create, on the new machine.

    While Azure says that the machine does not run, or none of those whose `away` is in `needs`, the command is left as
    the state has it, and is run by the first `up` that finds them running.
    """
    text, identity = (
        (stdin.text, stdin.identity)
        if isinstance(stdin, SecretInput)
        else (stdin, None if stdin is None else digest(stdin))
    )
    bounded = f"sudo timeout -k 10 {timeout_seconds} "
    is_idle = idle([access.away], needs)
    return remote.Command(
        name,
        connection=access.connection(dialling, is_idle),
        create=f"{bounded}{command}" if isinstance(command, str) else pulumi.Output.concat(bounded, command),
        stdin=text,
        triggers=[*([] if identity is None else [identity]), *triggers, access.vm_id],
        logging=logging,
        # sshd accepts no variables, and the next run must not get the output of the last one.
        add_previous_output_in_env=False,
        opts=command_options(opts, is_idle=is_idle, dialling=dialling),
    )


def command_options(
    opts: pulumi.ResourceOptions, *, is_idle: pulumi.Output[bool], dialling: Dialling
) -> pulumi.ResourceOptions:
    """Options of a command that is run when it is made: `opts`, and what all such commands have in common.

    They must not be merged any more (`components.power.left_while`).
    """
    common = pulumi.ResourceOptions(
        # What is in a machine ends with it; a dead machine must not keep a destroy from going on.
        retain_on_delete=True,
        additional_secret_outputs=["stdout", "stderr"],
        custom_timeouts=pulumi.CustomTimeouts(create=f"{dialling.minutes}m", update=f"{dialling.minutes}m"),
    )
    return left_while(is_idle, pulumi.ResourceOptions.merge(opts, common))


def after(*resources: pulumi.Resource) -> pulumi.ResourceOptions:
    """Options of what depends on these, although it uses no value of theirs."""
    return pulumi.ResourceOptions(depends_on=resources)


def first_child(component: pulumi.ComponentResource, opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """Options of the first resource in a component: it depends on whatever the component depends on.

    Pulumi only lets it wait for that when it is created; it would record no dependency of it.
    """
    return pulumi.ResourceOptions(parent=component, depends_on=opts.depends_on if opts else None)
