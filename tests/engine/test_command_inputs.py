"""What the command stand-in makes of inputs: the library's checks, secrets, unknown values and differences."""

import importlib.metadata

import pytest
from command_plugin import SECRET, SIGNATURE, UNKNOWN, CommandPlugin, failing, secret, urn
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import provider_pb2 as pb
from ssh_server import SshServer

pytestmark = pytest.mark.engine


def test_a_check_fills_in_the_defaults_and_makes_the_connection_secret(plugin: CommandPlugin) -> None:
    assert MessageToDict(plugin.inputs(connection={"host": "10.0.0.4"}, create="true")) == {
        "addPreviousOutputInEnv": True,
        "connection": {
            SIGNATURE: SECRET,
            "value": {"host": "10.0.0.4", "user": "root", "port": 22, "perDialTimeout": 15, "dialErrorLimit": 10},
        },
        "create": "true",
    }


def test_a_secret_unknown_in_a_list_is_lost_and_one_that_is_a_string_survives(plugin: CommandPlugin) -> None:
    """Such a secret without a value is what the engine then calls malformed."""
    checked = MessageToDict(
        plugin.inputs(
            connection={"host": "10.0.0.4", "privateKey": secret(UNKNOWN)},
            triggers=["a", secret(UNKNOWN)],
            stdin=secret(UNKNOWN),
        )
    )
    assert checked["triggers"] == ["a", {SIGNATURE: SECRET}]
    assert checked["stdin"] == secret("")  # known, and wrong; but the engine passes it
    assert checked["connection"]["value"]["privateKey"] == secret("")
    known = plugin.inputs(connection={"host": "10.0.0.4"}, triggers=["a", UNKNOWN])
    assert MessageToDict(known)["triggers"] == ["a", UNKNOWN]


def test_secrets_stay_secret_in_the_state_and_the_output_does_not_become_one(
    server: SshServer, plugin: CommandPlugin
) -> None:
    state = plugin.create(connection=server.connection, create=secret("cat"), stdin=secret("told"))
    assert state["stdout"] == "told"
    assert (state["create"], state["stdin"]) == (secret("cat"), secret("told"))
    assert set(state["connection"]) == {SIGNATURE, "value"}


@pytest.mark.parametrize(
    ("inputs", "property_", "reason"),
    [
        ({"connection": {"user": "azureuser"}}, "connection", "'host'"),
        ({}, "connection", "Missing required"),
        ({"connection": {"host": "h"}, "stdin": ["a", "list"]}, "stdin", "string"),
    ],
)
def test_inputs_of_another_shape_are_refused(
    plugin: CommandPlugin, inputs: dict[str, object], property_: str, reason: str
) -> None:
    (failure,) = plugin.checked(**inputs).failures
    assert failure.property == property_
    assert reason in failure.reason


def test_a_changed_input_is_an_update_whose_property_is_named(server: SshServer, plugin: CommandPlugin) -> None:
    state = plugin.create(connection=server.connection, stdin="a", triggers=["a"])
    same = plugin.diff(state, connection=server.connection, stdin="a", triggers=["a"])
    assert same.changes == pb.DiffResponse.DIFF_NONE
    changed = plugin.diff(state, connection=server.connection, stdin="b", triggers=["b"])
    assert {name: kind.kind for name, kind in changed.detailedDiff.items()} == {
        "stdin": pb.PropertyDiff.UPDATE,
        "triggers[0]": pb.PropertyDiff.UPDATE,  # the SDK's replace_on_changes makes the engine replace
    }


@pytest.mark.parametrize("token", ["command:local:Command", "command:remote:CopyToRemote", "command:remote:CopyFile"])
def test_other_resources_are_refused(plugin: CommandPlugin, token: str) -> None:
    with failing() as words:
        plugin.checked(token, connection={"host": "h"})
    assert words == [f"the sandbox does not stand in for {token}"]
    with failing() as words:
        plugin.provider.Invoke(pb.InvokeRequest(tok="command:local:run"), timeout=10)
    assert words == ["the sandbox does not stand in for command:local:run"]
    with failing() as words:
        plugin.provider.Read(pb.ReadRequest(id="1", urn=urn(token)), timeout=10)
    assert words == [f"the sandbox does not stand in for {token}"]


def test_the_plugin_is_of_the_release_that_the_sdk_asks_for(plugin: CommandPlugin) -> None:
    version = plugin.provider.GetPluginInfo(empty_pb2.Empty(), timeout=10).version
    assert version == importlib.metadata.version("pulumi-command")
