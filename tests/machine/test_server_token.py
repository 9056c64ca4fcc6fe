"""The token of a server that has a cluster already: taken over by `update` before anything is written, or refused."""

import json
from pathlib import Path

import pytest
from calls import Called, call
from kubernetes_objects import node
from staged import StagedMachine, configuration

OWN = 'K10abc::server:made by RKE2 \\ "so"'
SERVER = {"node-role.kubernetes.io/etcd": "true"}
FILES = ("token", "agent-token", "config.yaml")


@pytest.fixture
def machine(tmp_path: Path) -> StagedMachine:
    """A server of an older stack: it runs, and its token is RKE2's own."""
    made = StagedMachine.below(tmp_path)
    made.join("server")
    made.api.change(nodes=[node("mlops-k8s-master", "b", {}, SERVER), node("gpu", "c", {}, {})])
    made.write("etc/rancher/rke2/config.yaml", "cni: calico\n", 0o600)
    made.write("var/lib/rancher/rke2/server/token", f"{OWN}\n", 0o600)
    rke2_takes_it(made)
    return made


def rke2_takes_it(machine: StagedMachine) -> None:
    """RKE2 writes the new token where the old one was, and says nothing."""
    machine.program(
        "curl",
        """
        cat >"$STATE/asked"
        new=$(sed -n 's/^data = .*newToken.": .\\"\\(.*\\).\\"}"$/\\1/p' "$STATE/asked")
        echo "K10abc::server:$new" >"$STATE/../root/var/lib/rancher/rke2/server/token"
        """,
    )


def update(machine: StagedMachine, *tokens: str | None, more: tuple[str, ...] = ()) -> Called:
    """With the stack's token and the agents', or other ones."""
    own, agents = tokens or ("the stack's", "of agents")
    return call(machine, "update", *more, stdin=configuration(token=f"{own}\n", agent_token=agents))


def asked(machine: StagedMachine) -> dict[str, str]:
    """The options that curl read."""
    lines = (machine.state / "asked").read_text().splitlines()
    return {name: json.loads(value) for name, value in (line.split(" = ", 1) for line in lines)}


def written(machine: StagedMachine) -> dict[str, str]:
    """What lies at the paths RKE2 reads."""
    folder = machine.path("etc/rancher/rke2")
    return {name: (folder / name).read_text() for name in FILES if (folder / name).exists()}


def test_the_clusters_token_becomes_the_stacks_before_rke2_could_start_with_it(machine: StagedMachine) -> None:
    machine.program("curl", 'cat >"$STATE/asked"; ls "$STATE/../root/etc/rancher/rke2" >"$STATE/seen"')
    done = update(machine)
    assert done.status == 0
    assert done.stdout.startswith("token          the cluster gets that of the stack\nfiles          3 ")
    assert (machine.state / "seen").read_text().split() == ["config.yaml", "rke2.yaml"]
    given = asked(machine)
    assert (given["url"], given["request"]) == ("https://127.0.0.1:9345/v1-rke2/token", "PUT")
    assert given["user"] == 'server:made by RKE2 \\ "so"'
    assert json.loads(given["data"]) == {"newToken": "the stack's"}
    assert given["cacert"] == str(machine.path("/var/lib/rancher/rke2/server/tls/server-ca.crt"))
    assert written(machine) == {"token": "the stack's\n", "agent-token": "of agents", "config.yaml": "cni: calico\n"}


def test_no_token_is_on_a_command_line_or_said(machine: StagedMachine) -> None:
    done = update(machine)
    calls = " ".join([*machine.calls(), *machine.systemd.calls()])
    assert machine.calls("curl") != []
    for secret in ("the stack's\n", "made by RKE2", "of agents"):
        assert secret not in calls + done.stdout + done.stderr


def test_a_second_update_asks_for_nothing(machine: StagedMachine) -> None:
    update(machine)
    machine.forget_calls()
    assert update(machine).status == 0
    assert machine.calls("curl") == []


def test_an_update_that_was_killed_after_the_rotation_goes_on(machine: StagedMachine) -> None:
    """RKE2 starts with its old configuration from the token in its own file meanwhile."""
    machine.write("var/lib/rancher/rke2/server/token", "K10abc::server:the stack's\n", 0o600)
    machine.systemd.set(active=[])
    assert update(machine).status == 0
    assert machine.calls("curl") == []
    assert written(machine)["token"] == "the stack's\n"


@pytest.mark.parametrize("own", ["K10abc::server:the stack's\n", "the stack's\n"])
def test_a_cluster_with_the_stacks_token_is_not_asked(machine: StagedMachine, own: str) -> None:
    machine.write("var/lib/rancher/rke2/server/token", own, 0o600)
    assert update(machine).status == 0
    assert machine.calls("curl") == []


def test_a_machine_without_a_cluster_just_gets_its_tokens(machine: StagedMachine) -> None:
    machine.path("var/lib/rancher/rke2/server/token").unlink()
    machine.systemd.set(active=[])
    assert update(machine).status == 0
    assert written(machine)["agent-token"] == "of agents"


def test_an_agent_has_no_cluster_of_its_own(machine: StagedMachine) -> None:
    assert update(machine, "of agents", None).status == 0
    assert machine.calls("curl") == []


def refused(machine: StagedMachine) -> str:
    """What an update says that is refused before a byte has changed."""
    before = written(machine), machine.read("etc/mig-k8s/desired.json")
    done = update(machine)
    assert done.status == 1
    assert (written(machine), machine.read("etc/mig-k8s/desired.json")) == before
    assert machine.runs() == []
    assert "made by RKE2" not in done.stderr
    return done.stderr


def test_a_server_whose_rke2_does_not_run_is_refused(machine: StagedMachine) -> None:
    machine.systemd.set(active=[])
    assert refused(machine) == (
        "mig-k8s: nothing was changed: the cluster here has another token than mig-k8s:rke2Token, and "
        "RKE2 does not run, so it cannot be told of the new one. Start it: `sudo systemctl start rke2-server.service`, "
        "then `pulumi up`\n"
    )
    assert machine.calls("curl") == []


SERVERS = ("server-0", "server-1", "server-2")
OTHERS = ("--join", "10.60.0.5", "--join", "10.60.0.6")


def others_answer(machine: StagedMachine, first: str, second: str) -> None:
    """What the two other servers answer to who comes with the stack's token; the machine's own does as it is told."""
    machine.program(
        "curl",
        f"""
        cat >"$STATE/asked.new"
        case $(sed -n 's/^url = "\\(.*\\)"$/\\1/p' "$STATE/asked.new") in
        https://10.60.0.5:9345/v1-rke2/encrypt/status) {first};;
        https://10.60.0.6:9345/v1-rke2/encrypt/status) {second};;
        *) mv "$STATE/asked.new" "$STATE/asked";;
        esac
        """,
    )


@pytest.mark.parametrize("second", ["printf 401", "printf 403", "exit 28"])
def test_the_first_of_several_servers_tells_the_cluster(machine: StagedMachine, second: str) -> None:
    machine.api.change(nodes=[node(name, "b", {}, SERVER) for name in SERVERS])
    others_answer(machine, "printf 401", second)
    assert update(machine, more=OTHERS).status == 0
    assert json.loads(asked(machine)["data"]) == {"newToken": "the stack's"}
    assert written(machine)["token"] == "the stack's\n"


@pytest.mark.parametrize("answer", ["printf 200", "printf 404"])
@pytest.mark.parametrize(
    "unit", [{"active": ["rke2-server.service"]}, {"active": []}, {"starting": ["rke2-server.service"]}]
)
def test_a_server_after_the_first_tells_nobody_whether_it_runs_or_not(
    machine: StagedMachine, unit: dict[str, list[str]], answer: str
) -> None:
    """RKE2 has started with the new token elsewhere; here it may not come up any more with the old one."""
    machine.systemd.set(**{"active": [], **unit})
    others_answer(machine, "exit 7", answer)
    done = update(machine, more=OTHERS)
    assert done.status == 0
    assert done.stdout.startswith("token          the cluster has that of the stack already\nfiles          ")
    assert not (machine.state / "asked").exists()
    assert written(machine) == {"token": "the stack's\n", "agent-token": "of agents", "config.yaml": "cni: calico\n"}


def test_a_cluster_with_servers_that_the_stack_does_not_have_is_refused(machine: StagedMachine) -> None:
    machine.api.change(nodes=[node(name, "b", {}, SERVER) for name in SERVERS])
    said = refused(machine)
    assert "All its servers need the new one, and they are not those of the stack file: server-0, server-1, " in said
    assert "sudo sed 's/.*::server://'" in said
    assert machine.calls("curl") == []


def agent(machine: StagedMachine, **units: list[str]) -> None:
    machine.write("etc/rancher/rke2/token", "of before\n", 0o600)
    machine.path("/var/lib/rancher/rke2/server/token").unlink()
    machine.systemd.set(active=[], **units)
    machine.systemd.forget_calls()


def test_an_agent_that_waits_with_the_old_token_is_stopped_before_the_new_one_is_written(
    machine: StagedMachine,
) -> None:
    """RKE2 has read the old one, and would ask with it for ever."""
    agent(machine, starting=["rke2-agent.service"], stuck=["rke2-agent.service"])
    done = update(machine, "new", None)
    assert (done.status, written(machine)["token"]) == (1, "of before\n")
    assert "RKE2 waits with an old token and cannot be stopped: Job for rke2-agent.service timed out." in done.stderr
    machine.systemd.set(stuck=[])
    assert update(machine, "new", None).status == 0
    assert written(machine)["token"] == "new\n"
    assert machine.systemd.calls("systemctl stop") == ["systemctl stop rke2-agent.service"] * 2


@pytest.mark.parametrize(
    ("token", "units"),
    [("new", {"active": ["rke2-agent.service"]}), ("new", {}), ("of before", {"starting": ["rke2-agent.service"]})],
    ids=["it has joined", "it does not run", "it is the same"],
)
def test_any_other_agent_gets_the_new_token_and_goes_on(
    machine: StagedMachine, token: str, units: dict[str, list[str]]
) -> None:
    agent(machine)
    machine.systemd.set(**units)
    assert update(machine, token, None).status == 0
    assert written(machine)["token"] == f"{token}\n"
    assert machine.systemd.calls("systemctl stop") == []


def test_a_refusal_of_rke2s_is_said_and_nothing_is_written(machine: StagedMachine) -> None:
    machine.program("curl", "cat >/dev/null; echo 'curl: (22) The requested URL returned error: 500' >&2; exit 22")
    said = refused(machine)
    assert "RKE2 did not take the new one: curl: (22) The requested URL returned error: 500" in said


def test_tokens_are_kept_by_telling_rke2_the_one_it_has(machine: StagedMachine) -> None:
    machine.write("etc/rancher/rke2/token", "the stack's\n", 0o600)
    assert call(machine, "keep-tokens").status == 0
    given = asked(machine)
    assert (given["user"], json.loads(given["data"])) == ("server:the stack's", {"newToken": "the stack's"})


def test_keeping_is_tried_three_times_and_then_says_why_not(machine: StagedMachine) -> None:
    machine.write("etc/rancher/rke2/token", "the stack's\n", 0o600)
    machine.program("curl", "cat >/dev/null; echo 'curl: (7) Connection refused' >&2; exit 7")
    done = call(machine, "keep-tokens")
    assert (done.status, len(machine.calls("curl"))) == (1, 3)
    assert done.stderr == (
        "mig-k8s: RKE2 runs with its agent token, but cannot keep it over the next start: "
        "curl: (7) Connection refused\n"
    )


@pytest.mark.parametrize(("there", "kept"), [(None, "derived\n"), ("made by RKE2\n", "made by RKE2\n")])
def test_a_node_password_is_for_a_machine_that_has_none(machine: StagedMachine, there: str | None, kept: str) -> None:
    if there:
        machine.write("etc/rancher/node/password", there, 0o600)
    document = configuration(token="of agents\n", node_password="derived\n")
    assert call(machine, "update", stdin=document).status == 0
    assert machine.read("etc/rancher/node/password") == kept
    assert machine.mode_of("etc/rancher/node/password") == "0o600"


def test_the_token_that_a_first_start_waits_for_comes_after_what_else_it_needs(
    machine: StagedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr("machine.host.files.write", lambda path, _content, _mode: order.append(path.name))
    machine.path("var/lib/rancher/rke2/server/token").unlink()
    document = configuration(token="t\n", agent_token="a\n", node_password="p\n", rke2_config="cni: canal\n", mig=None)
    call(machine, "update", stdin=document)
    assert order[:5] == ["password", "agent-token", "config.yaml", "token", "desired.json"]


def test_a_new_token_makes_the_stage_look(machine: StagedMachine) -> None:
    update(machine)
    machine.runs()
    machine.write("var/lib/rancher/rke2/server/token", "K10abc::server:new\n", 0o600)
    update(machine, "new", "of agents")
    assert machine.runs() == ["rke2"]
    update(machine, "new", "also new")
    assert machine.runs() == ["rke2"]
