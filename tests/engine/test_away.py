"""Machines that Azure does not run: what `pulumi up` does to the others, what it says, how it ends, what comes after.

The real CLI, over real SSH, machines of loopback_cloud.py.
"""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from person import HERE, Person

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]
SERVER, AGENT = "mlops-k8s-master", "gpu"
COMMAND = "command:remote:Command"


def pools(server: dict[str, int], agent: dict[str, int]) -> list[dict[str, Any]]:
    size = {"vmSize": "Standard_NC24ads_A100_v4"}
    return [
        {"name": SERVER, "role": "server", "migDevices": server, **size},
        {"name": AGENT, "role": "agent", "migDevices": agent, **size},
    ]


@pytest.fixture(scope="module")
def stack(person: Person) -> Person:
    """A server and an agent that have been up, both on spot capacity."""
    person.run(sys.executable, "-m", "scripts.new_stack", "prod")
    person.link_environment()
    person.edit(
        nodePools=pools({"1g.10gb": 7}, {"1g.10gb": 7}), vm={"spot": {"maxPrice": -1, "evictionPolicy": "Delete"}}
    )
    person.up()
    return person


def azure(person: Person, verb: str, machine: str) -> None:
    words = (f"PYTHONPATH={HERE.parents[1]}:{HERE}", sys.executable, str(HERE / "loopback_cloud.py"), verb, machine)
    person.run("env", *words)


def fails(person: Person) -> str:
    return person.refused("up", "--yes", "--skip-preview", "--non-interactive", seconds=120)


def run_on(person: Person, machine: str) -> list[str]:
    """What of ours has been run on a machine, but for the releases."""
    commands = person.commands(person.machines()[machine])
    return [words[1] for words in commands if words[0] == "/usr/local/sbin/mig-k8s"]


def test_while_an_agent_is_deallocated_the_others_are_changed_and_the_up_fails_for_it_alone(stack: Person) -> None:
    azure(stack, "deallocate", AGENT)
    before = {name: run_on(stack, name) for name in (SERVER, AGENT)}
    stack.edit(nodePools=pools({"3g.40gb": 2}, {"3g.40gb": 2}))
    planned = stack.preview()
    assert planned.get("replace") == {f"{COMMAND} {SERVER}-mig", f"{COMMAND} verification-run"}
    said = fails(stack)
    group = stack.group()
    assert (
        "warning: gpu is deallocated in Azure: nothing is run on it, and what this stack file changes there waits. "
        f"`az vm start --resource-group {group} --name gpu`, then `pulumi up` does what waits." in said
    )
    assert "error: Process exited with status 1: running" in said
    assert "FAILED machine on gpu" in said
    assert said.count("    error: ") == 2, "it fails for something else as well"
    assert run_on(stack, AGENT) == before[AGENT]
    assert run_on(stack, SERVER) == [*before[SERVER], "apply", "verify"]


def test_nothing_secret_lies_in_the_state_of_what_was_left(stack: Person) -> None:
    state = stack.pulumi("stack", "export")
    private = Path(stack.variables["SSH_KEY"]).read_text().splitlines()[1:-1]
    assert f"{AGENT}-converge" in state
    assert [line for line in private if line in state] == []


def test_started_again_it_gets_what_waited_and_all_of_it_is_verified(stack: Person) -> None:
    before = {name: run_on(stack, name) for name in (SERVER, AGENT)}
    azure(stack, "start", AGENT)
    stack.up()
    assert run_on(stack, AGENT) == [*before[AGENT], "apply"]
    assert run_on(stack, SERVER) == [*before[SERVER], "verify"]
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_where_nothing_waited_a_machine_that_is_back_is_verified_all_the_same(stack: Person) -> None:
    azure(stack, "deallocate", AGENT)
    assert "FAILED machine on gpu" in fails(stack)
    azure(stack, "start", AGENT)
    before = {name: run_on(stack, name) for name in (SERVER, AGENT)}
    stack.up()
    assert run_on(stack, AGENT) == before[AGENT]
    assert run_on(stack, SERVER) == [*before[SERVER], "verify"]


def test_a_command_that_a_deallocated_machine_has_never_had_is_not_dialled_for_long(stack: Person) -> None:
    azure(stack, "deallocate", AGENT)
    stack.forget(f"{AGENT}-mig")
    began = time.monotonic()
    said = fails(stack)
    assert time.monotonic() - began < 60
    assert "after 1 failed attempts: dial tcp" in said
    assert "gpu is deallocated in Azure" in said
    azure(stack, "start", AGENT)
    stack.up()
