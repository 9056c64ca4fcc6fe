"""The limit of agents that are out at once: one command on a server, before what is run on any agent."""

from stacks import Program

POOLS = [
    {"name": "server", "role": "server", "count": 3, "vmSize": "Standard_D4s_v5"},
    {"name": "gpu", "role": "agent", "count": 4},
]
SINGLE = {"strategy": "single"}


def test_every_agent_waits_for_the_limit_and_the_limit_for_the_servers(program: Program) -> None:
    graph = program(nodePools=POOLS, mig=SINGLE, rollout={"agentsAtOnce": "50%"})
    limit = graph.one("rollout-limit")
    assert limit.plain("create") == "sudo timeout -k 10 600 /usr/local/sbin/mig-k8s limit-turns"
    assert limit.plain("stdin") == '{\n  "version": 1,\n  "agentsAtOnce": 2\n}\n'
    for server in ("server", "server-1", "server-2"):
        assert graph.waits_for(limit, graph.one(f"{server}-ready"))
        assert not graph.waits_for(graph.one(f"{server}-ready"), limit)
    for agent in ("gpu", "gpu-1", "gpu-2", "gpu-3"):
        assert graph.waits_for(graph.one(f"{agent}-converge"), limit)
    assert not graph.waits_for(graph.one("gpu-1-converge"), graph.one("gpu-ready"))


def test_the_limit_goes_to_whichever_server_lives(program: Program) -> None:
    graph = program(nodePools=POOLS, mig=SINGLE)
    address = graph.one("verification-run").plain("connection", "host")
    assert graph.one("rollout-limit").plain("connection", "host") == address


def test_gpus_of_managers_agents_are_freed_in_turns_too(program: Program) -> None:
    graph = program(nodePools=POOLS, mig={"strategy": "single", "owner": "operator"})
    assert graph.waits_for(graph.one("gpu-free"), graph.one("rollout-limit"))


def test_another_limit_is_nothing_to_a_machine(program: Program) -> None:
    one, two = (program(nodePools=POOLS, mig=SINGLE, rollout={"agentsAtOnce": n}) for n in (1, 2))
    before, after = ({each.name: each.inputs for each in graph.commands()} for graph in (one, two))
    assert {name for name in before if before[name] != after[name]} == {"rollout-limit"}


def test_without_an_agent_there_is_no_limit(program: Program) -> None:
    graph = program(nodePools=POOLS[:1], mig=SINGLE)
    assert [each.name for each in graph.commands() if each.name.startswith("rollout")] == []
