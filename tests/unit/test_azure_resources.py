"""How Azure calls what the program makes, and which subscription it is in."""

from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud import arm
from scripts.azure_resources import identifier, subscription_of
from scripts.engine import Engine
from scripts.stack import StackError


@pytest.mark.parametrize("kind", arm.KINDS)
def test_azures_id_of_every_kind_that_the_program_makes_is_known(kind: str) -> None:
    inputs = {"resourceGroupName": "group"} | {name: f"the-{name}" for name in arm.KINDS[kind].names}
    found = identifier(f"azure-native:{kind}", inputs, arm.SUBSCRIPTION)
    assert found == arm.identifier(kind, inputs)
    assert found.startswith("/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/")


def test_another_kind_is_refused_before_anything_is_done() -> None:
    with pytest.raises(StackError, match=r"storage:Blob was being made, .* not known here\. Nothing was changed"):
        identifier("azure-native:storage:Blob", {"resourceGroupName": "group"}, "0")


def test_the_subscription_is_that_of_what_the_state_has() -> None:
    engine = Engine(stack="prod", folder=Path(), variables={})
    group: dict[str, Any] = {"type": "azure-native:resources:ResourceGroup", "id": "/subscriptions/17/resourceGroups/g"}
    stack = {"type": "pulumi:pulumi:Stack"}
    assert subscription_of(engine, [stack, group]) == "17"
