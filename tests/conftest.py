"""Fixtures of several tiers, and how properties are tried."""

import gc
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import settings

from recording import Graph
from stacks import Program, configuration, main_program

# The same examples everywhere and every time: a change is judged by what it changes. To look for new ones:
# pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True, max_examples=100, deadline=None)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of garbage collection, and look at the rest rarely: it takes time.

    A run of the program makes a hundred thousand objects. Python would look through them all a hundred times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000_000, 5, 5)


@pytest.fixture(scope="session")
def program() -> Program:
    """Runs `__main__.py`: `program("examples/single.yaml", preview=True, vm={"zone": "1"})`; see `main_program`.

    A run takes a quarter of a second, nearly all of it inside the SDK, so one configuration is run once per session; a
    test that is about running twice calls `main_program` itself.
    """
    runs: dict[str, Graph] = {}

    def run(
        path: str = "Pulumi.dev.yaml",
        *,
        preview: bool = False,
        unmade: Sequence[str] | None = None,
        born_as: Mapping[str, str] | None = None,
        statuses: Mapping[str, Sequence[str]] | None = None,
        **replaced: object,
    ) -> Graph:
        given = sorted(configuration(path, replaced).items())
        key = repr((given, preview, unmade, born_as or {}, statuses or {}))
        if key not in runs:
            runs[key] = main_program(
                path, preview=preview, unmade=unmade, born_as=born_as, statuses=statuses, replaced=replaced
            )
        return runs[key]

    return run
