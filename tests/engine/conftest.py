"""The real Pulumi CLI with the sandbox's providers, where nothing but previews and refusals can happen."""

from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from ssh_server import SshServer, new_key, ssh_server

from sandbox.engine.environment import Environment
from sandbox.tools import toolchain

CHECKOUT = Path(__file__).resolve().parents[2]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the CLI before the clock of the first test runs."""
    if any(item.get_closest_marker("engine") for item in session.items) and not session.config.option.collectonly:
        toolchain.pulumi()


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A Pulumi of its own without machines, its keys made once for all tests."""
    environment = Environment(tmp_path_factory.mktemp("engine") / "sandbox", machines=False)
    environment.prepare(CHECKOUT / "Pulumi.dev.yaml", None)
    return environment


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    """Keys of its own: `host` and `client` in the test's folder."""
    host_key = paramiko.Ed25519Key.from_private_key_file(str(new_key(tmp_path, "host")))
    with ssh_server(host_key, new_key(tmp_path, "client").read_text()) as running:
        yield running
