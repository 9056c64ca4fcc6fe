"""Settings, plans and reports of minimal stacks."""

from collections.abc import Callable

import pytest
from minimal_stack import SECRETS, minimal

from plan import Problems, Settings, StackPlan, plan_stack, read_settings


@pytest.fixture
def settings() -> Callable[..., Settings]:
    """Settings of a minimal stack with these sections."""
    return lambda **sections: read_settings(minimal(**sections), location="westeurope", secrets=SECRETS)


@pytest.fixture
def planned(settings: Callable[..., Settings]) -> Callable[..., StackPlan]:
    """The plan of a minimal stack with these sections."""
    return lambda **sections: plan_stack(settings(**sections))


@pytest.fixture
def report() -> Callable[..., str]:
    """The report on a minimal stack with these sections, which must have problems."""

    def refused(*, location: object = "westeurope", secrets: frozenset[str] = SECRETS, **sections: object) -> str:
        with pytest.raises(Problems) as caught:
            read_settings(minimal(**sections), location=location, secrets=secrets)
        return str(caught.value)

    return refused
