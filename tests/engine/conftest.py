"""The real Pulumi CLI with the sandbox's providers, where nothing but previews and refusals can happen."""

from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from command_plugin import CommandPlugin, command_plugin
from person import Person, own_network, person_at
from ssh_server import SshServer, new_key, ssh_server

from longest_first import bring_forward
from sandbox import recovery
from sandbox.cloud.azure_native import AzureNative
from sandbox.engine.environment import Environment
from sandbox.instance import Sandbox
from sandbox.tools import pulumi_cli, toolchain
from warm_interpreter import warm

CHECKOUT = Path(__file__).resolve().parents[2]

LONGEST_FIRST = (
    "test_interrupted",
    "test_rebuild",
    "test_previews_of_changes",
    "test_whole_life",
    "test_older_stack",
    "test_nvml_agrees",
    "test_reasons",
)
"""Files of which each takes a minute or more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    bring_forward(items, LONGEST_FIRST)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the CLI and the plugin before the clock of the first test runs."""
    if any(item.get_closest_marker("engine") for item in session.items) and not session.config.option.collectonly:
        pulumi_cli.pulumi()
        toolchain.command()


@pytest.fixture(scope="session", autouse=True)
def _warm_interpreter() -> Iterator[None]:
    with warm():
        yield


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """A Pulumi of its own without machines, its keys made once for all tests."""
    environment = Environment(tmp_path_factory.mktemp("engine") / "sandbox", machines=False)
    environment.prepare(CHECKOUT / "Pulumi.dev.yaml", None)
    yield environment
    recovery.end_plugins(environment.root)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    """Keys of its own: `host` and `client` in the test's folder."""
    host_key = paramiko.Ed25519Key.from_private_key_file(str(new_key(tmp_path, "host")))
    with ssh_server(host_key, new_key(tmp_path, "client").read_text()) as running:
        yield running


@pytest.fixture
def plugin() -> Iterator[CommandPlugin]:
    """The command provider's stand-in, a process of the test's own."""
    with command_plugin() as running:
        yield running


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AzureNative:
    """The Azure stand-in with a subscription of the test's own."""
    Sandbox(name="azure-test", root=tmp_path / "sandbox", network="10.99.200").save()
    monkeypatch.setenv("MIG_K8S_SANDBOX", str(tmp_path / "sandbox"))
    return AzureNative()


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """At a network and a checkout of their own."""
    with own_network() as namespace, warm(namespace), person_at(tmp_path_factory.mktemp("life"), namespace) as person:
        yield person
