"""Which commands run on a machine, how, and when they run again."""

import json
import re

import pytest

from plan import Release, delivery, delivery_command, release
from stacks import CLUSTER, HOST_PUBLIC_KEY, RKE2_TOKEN, Program

NAME = "mlops-k8s-master"
VM_ID = "vm_id of mlops-k8s-master-vm"
OPERATOR = {"strategy": "mixed", "owner": "operator"}


def test_a_machine_gets_these_commands_each_with_a_bound_of_its_own(program: Program) -> None:
    assert {each.name: each.plain("create") for each in program().commands()} == {
        f"{NAME}-release": "sudo timeout -k 10 600 " + delivery_command(),
        f"{NAME}-converge": "sudo timeout -k 10 90000 /usr/local/sbin/mig-k8s update",
        f"{NAME}-resume": "sudo timeout -k 10 90000 /usr/local/sbin/mig-k8s resume",
        f"{NAME}-ready": "sudo timeout -k 10 90000 /usr/local/sbin/mig-k8s ready",
        f"{NAME}-mig": f"sudo timeout -k 10 87600 /usr/local/sbin/mig-k8s apply --node {NAME}",
        "cluster-permission": "sudo timeout -k 10 60 /usr/local/sbin/mig-k8s permit-founding",
        "cluster-kubeconfig": "sudo timeout -k 10 60 cat /etc/rancher/rke2/rke2.yaml",
        "verification-run": "sudo timeout -k 10 1500 /usr/local/sbin/mig-k8s verify",
    }


def test_every_command_is_retained_has_no_delete_and_sends_no_variables(program: Program) -> None:
    commands = program(nodePools=CLUSTER, mig={"strategy": "single"}).commands()
    assert len(commands) == 4 * 3 + 2 + 4
    for command in commands:
        assert command.stays, command.name
        assert "delete" not in command.inputs, command.name
        assert "update" not in command.inputs, command.name
        assert "environment" not in command.inputs, command.name
        assert command.plain("addPreviousOutputInEnv") is False, command.name
        assert set(command.request.additionalSecretOutputs) >= {"stdout", "stderr"}, command.name


def test_a_rebuilt_machine_gets_every_one_of_its_commands_again(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    for command in [each for each in graph.commands() if each.name != "cluster-permission"]:
        machine = re.sub(r"-(release|converge|resume|ready|mig)$", "", command.name)
        machine = "server" if machine in ("cluster-kubeconfig", "rollout-limit", "verification-run") else machine
        assert f"vm_id of {machine}-vm" in command.plain("triggers"), command.name


def test_progress_is_shown_and_documents_are_not(program: Program) -> None:
    shown = {each.name: each.plain("logging") for each in program().commands()}
    assert shown == {
        f"{NAME}-release": "stderr",
        f"{NAME}-converge": "stdout",
        f"{NAME}-resume": "stdout",
        f"{NAME}-ready": "stderr",
        f"{NAME}-mig": "stderr",
        "cluster-permission": "stderr",
        "cluster-kubeconfig": "none",
        "verification-run": "stderr",
    }


def test_the_host_key_is_pinned(program: Program) -> None:
    for command in program().commands():
        connection = command.plain("connection")
        assert connection["hostKey"] == HOST_PUBLIC_KEY, command.name
        assert (connection["host"], connection["user"]) == ("198.51.100.10", "azureuser"), command.name


@pytest.mark.parametrize("mig", [{"strategy": "mixed"}, OPERATOR], ids=["host", "operator"])
def test_a_machine_is_dialled_until_the_reason_is_told_and_longer_where_it_may_have_been_rebooted(
    program: Program, mig: object
) -> None:
    for command in program(mig=mig).commands():
        connection, timeouts = command.plain("connection"), command.request.customTimeouts
        after_a_reboot = command.name in (f"{NAME}-resume", f"{NAME}-ready")
        limit, seconds, bound = (150, 10, "45m") if after_a_reboot else (18, 60, "25m")
        assert (connection["dialErrorLimit"], connection["perDialTimeout"]) == (limit, seconds), command.name
        assert (timeouts.create, timeouts.update) == (bound, bound), command.name


def test_an_ssh_agent_takes_the_place_of_the_private_key(program: Program) -> None:
    public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqGQWZQSelo2DxGZ2KgxK7ZcVRq7GrTqKA1z4L1Xnhv example"
    graph = program(ssh={"publicKey": public_key, "agentSocketPath": "/run/agent.sock"}, sshPrivateKey=None)
    for command in graph.commands():
        connection = command.plain("connection")
        assert connection["agentSocketPath"] == "/run/agent.sock"
        assert "privateKey" not in connection


def test_a_changed_desired_state_is_pushed_awaited_and_proven_again(program: Program) -> None:
    before, after = program(), program(rke2={"tlsSans": ["k8s.example.com"]})
    for name in (f"{NAME}-converge", f"{NAME}-resume", f"{NAME}-ready", "cluster-kubeconfig", "verification-run"):
        assert before.one(name).plain("triggers") != after.one(name).plain("triggers"), name
    assert before.one(f"{NAME}-mig").plain("triggers") == after.one(f"{NAME}-mig").plain("triggers")


def test_a_changed_layout_makes_instances_and_proves_them_again_and_does_nothing_else(program: Program) -> None:
    pool = {"name": NAME, "vmSize": "Standard_NC24ads_A100_v4"}
    before = program()
    after = program(nodePools=[pool | {"migDevices": {"3g.40gb": 2}}])
    for name in (f"{NAME}-mig", "verification-run"):
        assert before.one(name).plain("triggers") != after.one(name).plain("triggers"), name
    for name in (f"{NAME}-converge", f"{NAME}-resume", f"{NAME}-ready", "cluster-kubeconfig"):
        assert before.one(name).plain("triggers") == after.one(name).plain("triggers"), name


def test_changed_values_of_the_operator_are_proven_again(program: Program) -> None:
    before, after = program(), program(gpuOperator={"values": {"dcgmExporter": {"enabled": False}}})
    assert before.one("verification-run").plain("triggers") != after.one("verification-run").plain("triggers")


def test_a_machine_is_given_its_layout_with_its_placements(program: Program) -> None:
    layout = json.loads(program().one(f"{NAME}-mig").plain("stdin"))
    (gpu,) = layout["gpus"]
    assert gpu["mode"] is True
    assert sorted(instance["profile"] for instance in gpu["instances"]) == ["1g.10gb", "2g.20gb", "3g.40gb"]
    assert all(isinstance(instance["start"], int) for instance in gpu["instances"])


def test_where_the_operator_owns_mig_a_machine_is_freed_and_labelled_instead(program: Program) -> None:
    graph = program(mig=OPERATOR)
    commands = {each.name: each for each in graph.commands()}
    assert set(commands) - {each.name for each in program().commands()} == {f"{NAME}-free", f"{NAME}-label"}
    assert f"{NAME}-mig" not in commands
    free, label = commands[f"{NAME}-free"], commands[f"{NAME}-label"]
    assert free.plain("create") == f"sudo timeout -k 10 87600 /usr/local/sbin/mig-k8s free --node {NAME}"
    assert label.plain("create") == "sudo timeout -k 10 89400 /usr/local/sbin/mig-k8s label"
    for command in (free, label):
        assert command.plain("logging") == "stderr"
        assert command.plain("connection", "host") == "198.51.100.10"
        assert command.stays
        assert "delete" not in command.inputs
        assert VM_ID in command.plain("triggers")
    release = graph.one("gpu-operator-release").plain("values", "migManager")
    assert release["enabled"] is True
    told = json.loads(label.plain("stdin"))
    assert told["configMap"] == release["config"]["name"]
    assert told["config"] in release["config"]["data"]["config.yaml"]
    assert told["layout"] == {key: each for key, each in json.loads(free.plain("stdin")).items() if key != "version"}


def test_no_command_line_holds_data_and_no_standard_input_a_script(program: Program) -> None:
    for mig in ({"strategy": "mixed"}, OPERATOR):
        for command in program(mig=mig).commands():
            assert '{"' not in command.plain("create"), command.name
            if "stdin" in command.inputs and not command.name.endswith(("-release", "-permission")):
                assert json.loads(command.plain("stdin"))["version"] == 1, command.name


def test_a_release_is_delivered_again_only_when_it_or_the_machine_changes(program: Program) -> None:
    before = program().one(f"{NAME}-release")
    assert before.plain("stdin") == delivery(release())
    for after in (program(rke2={"tlsSans": ["k8s.example.com"]}), program(mig=OPERATOR)):
        assert after.one(f"{NAME}-release").plain("triggers") == before.plain("triggers")


def test_a_machine_with_another_release_is_brought_to_its_state_and_proven_again(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stages may do the same in another way."""
    # Tags are in no command; another stack, or the graph would be remembered from before.
    before = program(vm={"tags": {"of": "before"}})
    files = {path: text for path, text in release().contents.items() if path != "manifest.json"}
    newer = Release.of({**files, "stages/apt": "#!/bin/sh\n"})
    monkeypatch.setattr("plan.machine.release._release", lambda _: newer)
    after = program(vm={"tags": {"of": "after"}})
    changed = {each.name for each in after.commands() if before.one(each.name).inputs != each.inputs}
    names = {f"{NAME}-{step}" for step in ("release", "converge", "resume", "ready")}
    assert changed == names | {"cluster-kubeconfig", "verification-run"}


def test_where_the_operator_owns_mig_a_changed_layout_restarts_nothing_on_the_machine(program: Program) -> None:
    """What the node registers with stays the same, and RKE2 goes on running."""
    pool = {"name": NAME, "vmSize": "Standard_NC24ads_A100_v4"}
    before = program(mig=OPERATOR)
    after = program(mig=OPERATOR, nodePools=[pool | {"migDevices": {"3g.40gb": 2}}])
    for name in (f"{NAME}-free", f"{NAME}-label", "verification-run"):
        assert before.one(name).plain("triggers") != after.one(name).plain("triggers"), name
    for name in (f"{NAME}-converge", f"{NAME}-ready", "cluster-kubeconfig"):
        assert before.one(name).plain("triggers") == after.one(name).plain("triggers"), name


def test_another_pools_layout_does_not_free_a_machine(program: Program) -> None:
    server = {"name": NAME, "vmSize": "Standard_NC24ads_A100_v4", "migDevices": {"1g.10gb": 7}}
    before, after = (
        program(mig=OPERATOR, nodePools=[server, {"name": "gpu", "role": "agent", "migDevices": devices}])
        for devices in ({"7g.80gb": 1}, {"1g.10gb": 1})
    )
    for name in ("gpu-free", "gpu-label"):
        assert before.one(name).plain("triggers") != after.one(name).plain("triggers"), name
    assert before.one(f"{NAME}-free").inputs == after.one(f"{NAME}-free").inputs


@pytest.mark.parametrize("pools", [None, CLUSTER], ids=["one machine", "cluster"])
def test_servers_have_the_token_from_the_first_boot_and_agents_nothing_it_could_be_had_from(
    program: Program, pools: object
) -> None:
    graph = program("examples/single.yaml", **({"nodePools": pools} if pools else {}))
    pushed = {
        each.name: json.loads(each.plain("stdin")) for each in graph.commands() if each.name.endswith("-converge")
    }
    agents = {name: given for name, given in pushed.items() if given["rke2AgentToken"] is None}
    assert set(agents) == ({"gpu-converge", "gpu-1-converge"} if pools else set())
    for name, given in pushed.items():
        if name in agents:
            assert RKE2_TOKEN not in json.dumps(given), name
        else:
            assert given["rke2Token"] == f"{RKE2_TOKEN}\n", name
            assert {each["rke2Token"] for each in agents.values()} <= {given["rke2AgentToken"]}, name
    assert len({given["nodePassword"] for given in pushed.values()}) == len(pushed)


def test_the_first_agent_beside_a_server_changes_no_input_of_the_servers_commands(program: Program) -> None:
    server = {"name": NAME, "vmSize": "Standard_NC24ads_A100_v4", "migDevices": {"1g.10gb": 7}}
    before, after = (
        program(nodePools=[server, *more])
        for more in ([], [{"name": "gpu", "role": "agent", "migDevices": {"1g.10gb": 1}}])
    )
    names = {each.name for each in before.commands() if each.name != "verification-run"}
    assert f"{NAME}-converge" in names
    assert {name for name in names if before.one(name).inputs != after.one(name).inputs} == set()
