"""The program, run by its tests. It is loaded here alone: to import Pulumi and its providers takes seconds."""

from collections.abc import Mapping, Sequence

import pytest

from recording import Graph
from stacks import Program, configuration, main_program


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
        azure_names: Mapping[str, str] | None = None,
        statuses: Mapping[str, Sequence[str]] | None = None,
        **replaced: object,
    ) -> Graph:
        given = sorted(configuration(path, replaced).items())
        key = repr((given, preview, unmade, azure_names or {}, statuses or {}))
        if key not in runs:
            runs[key] = main_program(
                path, preview=preview, unmade=unmade, azure_names=azure_names, statuses=statuses, replaced=replaced
            )
        return runs[key]

    return run
