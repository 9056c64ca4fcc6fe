"""Stacks for the tests: the three required keys, and whatever a test adds."""

from collections.abc import Callable
from typing import Any

import pytest

from plan import Problems, Settings, StackPlan, plan_stack, read_settings

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqGQWZQSelo2DxGZ2KgxK7ZcVRq7GrTqKA1z4L1Xnhv"
SECRETS = frozenset({"sshPrivateKey", "sshHostKey", "rke2Token"})

Sections = dict[str, Any]


def minimal(**sections: object) -> Sections:
    """A stack with the required keys; `sections` add to it or replace what is there."""
    return {"adminCidrs": ["203.0.113.7/32"], "ssh": {"publicKey": PUBLIC_KEY}, **sections}


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
