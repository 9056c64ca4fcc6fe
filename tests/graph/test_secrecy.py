"""Secrets are secret in every place that they reach."""

import base64
import gzip
import json

from plan.machine.tokens import agent_token, node_password
from recording import LOCAL_KUBECONFIG
from stacks import ADMIN_PRIVATE_KEY, CLUSTER, HOST_PRIVATE_KEY, RKE2_TOKEN, Program
from wire import in_clear, opened

BODIES = {
    "administrator's key": ADMIN_PRIVATE_KEY.splitlines()[3],
    "host key": HOST_PRIVATE_KEY.splitlines()[3],
    "token": RKE2_TOKEN,
    "agents' token": agent_token(RKE2_TOKEN),
    "a node's password": node_password(RKE2_TOKEN, "gpu"),
    "kubeconfig": "certificate-authority-data: Q0E=",
}


def test_every_secret_goes_somewhere_and_stands_nowhere_in_clear(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    everything = json.dumps([_decoded(opened(each.inputs)) for each in graph.resources])
    readable = json.dumps([_decoded(in_clear(each.inputs)) for each in graph.resources])
    for what, body in BODIES.items():
        assert body in everything, f"this test does not see where the {what} goes"
        assert body not in readable, what


def _decoded(inputs: object) -> object:
    """Inputs with their custom data decoded, so that a key within is seen."""
    if isinstance(inputs, dict):
        return {
            key: gzip.decompress(base64.b64decode(item)).decode() if key == "customData" and item else _decoded(item)
            for key, item in inputs.items()
        }
    return [_decoded(item) for item in inputs] if isinstance(inputs, list) else inputs


def test_no_command_line_holds_a_secret(program: Program) -> None:
    """The provider prints the command when it fails."""
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    for command in graph.commands():
        assert isinstance(command.inputs["create"], str)
        for what, body in BODIES.items():
            assert body not in command.inputs["create"], (command.name, what)


def test_the_kubeconfig_is_the_only_secret_output(program: Program) -> None:
    exports = program().exports
    assert {name for name, exported in exports.items() if exported.secret} == {"kubeconfig"}
    shown = json.dumps({name: exported.value for name, exported in exports.items() if not exported.secret})
    for what, body in BODIES.items():
        assert body not in shown, what


def test_the_operators_values_that_may_be_secret_are_for_the_engine_too(program: Program) -> None:
    """A preview shows all others."""
    variables = [{"name": "DCGM_PASS", "value": "tell-nobody"}]
    values = {"dcgmExporter": {"env": variables}, "operator": {"labels": {"a": "b"}}}
    graph = program(gpuOperator={"values": values})
    release = graph.one("gpu-operator-release")
    assert opened(release.inputs)["values"]["dcgmExporter"]["env"] == variables
    assert "tell-nobody" not in json.dumps([in_clear(each.inputs) for each in graph.resources])
    assert in_clear(release.inputs)["values"]["operator"] == {"labels": {"a": "b"}}


def test_the_cluster_sees_the_kubeconfig_as_a_secret(program: Program) -> None:
    provider = program().one("cluster-kubernetes")
    assert in_clear(provider.inputs)["kubeconfig"] is None
    assert provider.plain("kubeconfig") == LOCAL_KUBECONFIG.replace("127.0.0.1", "198.51.100.10")
