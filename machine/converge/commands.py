"""The commands that bring a machine to its desired state, as they are called over SSH."""

from collections.abc import Sequence

from machine.converge import records
from machine.converge.following import follow
from machine.converge.verdict import verdict
from machine.documents import desired_state
from machine.documents.configuration import (
    NODE_PASSWORD_PATH,
    RKE2_AGENT_TOKEN_PATH,
    RKE2_CONFIG_PATH,
    RKE2_TOKEN_PATH,
    Configuration,
)
from machine.host import authorized_keys, files
from machine.host.console import report, say
from machine.host.this_machine import ThisMachine
from machine.kubernetes import agent_token, founding, joining, rke2_upgrade, server_token
from machine.release import units

GOING_DOWN = 75
"""Exit code of `ready` when the machine is about to reboot."""


def update(machine: ThisMachine, configuration: Configuration, servers: Sequence[str] = ()) -> int:
    """Write what the stack decides, then go on as `resume`. Raises DiskError; a file is then as it was.

    `servers`: the addresses that it can join the cluster by. Raises NodeError, and nothing is written, where the
    cluster here cannot take it, or there is none and the machine may not found one; UsageError on another machine.
    Who may log in is written before all of that: it must not wait for a cluster to be well.
    """
    machine.must_be(configuration.desired_state.node.name)
    administrator = configuration.administrator
    changed = administrator is not None and authorized_keys.write(machine, administrator.user, administrator.keys)
    founding.check(machine, configuration.rke2_config)
    rke2_upgrade.check(machine, configuration.desired_state.rke2)
    rke2_config = joining.rke2_config(machine, configuration, servers)
    if configuration.rke2_token is not None and configuration.rke2_agent_token is not None:
        server_token.take_over(machine, configuration.rke2_token, servers)
    elif configuration.rke2_token is not None:
        agent_token.end_waiting(machine, configuration.rke2_token)
    has_password = machine.path(NODE_PASSWORD_PATH).exists()
    wanted = {
        # A node keeps the password that the cluster knows it by, also one that RKE2 made. The token after all that a
        # first start reads, because that waits for it; the desired state last: it makes the others be looked at.
        NODE_PASSWORD_PATH: None if has_password else configuration.node_password,
        RKE2_AGENT_TOKEN_PATH: configuration.rke2_agent_token,
        RKE2_CONFIG_PATH: rke2_config,
        RKE2_TOKEN_PATH: configuration.rke2_token,
        desired_state.PATH: configuration.desired_state.to_json(),
    }
    written = changed + sum(
        files.write_if_changed(machine.path(path), content, 0o600)
        for path, content in wanted.items()
        if content is not None
    )
    report(f"{'files':<10} {written} written\n")
    return resume(machine)


def resume(machine: ThisMachine) -> int:
    """Bring the machine to what its files say, following on standard output; 0 also before a reboot."""
    units.enable(machine)
    result = follow(machine, report)
    if records.is_rebooting(result, machine.boot_id()):
        report(f"{'reboot':<10} the machine reboots now\n")
        return 0
    return verdict(machine, result)


def ready(machine: ThisMachine) -> int:
    """Follow on standard error until all is done; the result on standard output."""

    def show(text: str) -> None:
        say(text.rstrip("\n"))

    result = follow(machine, show)
    if records.is_rebooting(result, machine.boot_id()):
        say("the machine is about to reboot; run `pulumi up` again, it goes on when the machine is back")
        return GOING_DOWN
    status = verdict(machine, result)
    if status == 0:
        report(result.to_json())
    return status
