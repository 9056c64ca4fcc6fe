"""The real Pulumi CLI with the sandbox's providers, where nothing but previews and refusals can happen."""

from pathlib import Path

import pytest

from sandbox import toolchain
from sandbox.environment import Environment

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
