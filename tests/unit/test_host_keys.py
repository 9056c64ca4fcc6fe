"""Every machine's host keys, derived from a secret: its own ones, the same every time, and readable by OpenSSH."""

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from plan.machine.host_keys import HostKey, HostKeys
from stacks import HOST_PRIVATE_KEY, HOST_PUBLIC_KEY

A, B = f"a:{'0123456789abcdef' * 4}", f"b:{'fedcba9876543210' * 4}"
SHARED = HostKey.given(HOST_PRIVATE_KEY)
P256, P384, P521 = (f"ecdsa-sha2-nistp{bits}" for bits in (256, 384, 521))


def kinds(*keys: HostKey) -> list[str]:
    return [key.kind for key in keys]


def test_keys_of_a_secret_never_change() -> None:
    """Whoever changes how they are made locks all stacks out."""
    of_a, of_b = HostKeys(None, A), HostKeys(None, B)
    made = (of_a.own("gpu"), of_a.of_servers(), of_b.own("gpu"), of_b.of_servers())
    assert [key.public[-12:] for key in made] == ["INciFshPYW0=", "NxHfg9pMLg==", "t/XeGyWplMwZ", "BpCslDGThA=="]
    assert HostKeys(None, f"{A}\n").own("gpu").private == of_a.own("gpu").private
    assert HostKeys(None, B).own("gpu").private == of_b.own("gpu").private


def test_each_machine_has_its_own_and_only_servers_have_that_of_all_servers() -> None:
    keys = HostKeys(None, A)
    assert len({keys.own(name).public for name in ("server", "server-1", "gpu", "gpu-1")}) == 4
    assert kinds(*keys.shown("gpu", is_server=False)) == [P256]
    server, other = keys.shown("server", is_server=True), keys.shown("server-1", is_server=True)
    assert (kinds(*server), server[1]) == ([P256, P384], other[1])
    assert server[1] == keys.of_servers()
    assert server[0] == keys.own("server") != other[0]


@pytest.mark.parametrize("secret", [A, B])
@pytest.mark.parametrize("is_server", [False, True])
def test_openssh_reads_them_and_finds_the_same_public_half(tmp_path: Path, secret: str, is_server: bool) -> None:
    for number, key in enumerate(HostKeys(None, secret).shown("gpu", is_server=is_server)):
        file = tmp_path / str(number)
        file.touch(0o600)
        file.write_text(key.private)
        said = subprocess.run(["ssh-keygen", "-y", "-P", "", "-f", file], capture_output=True, text=True, check=True)
        assert said.stdout.split()[:2] == key.public.split()


def test_a_stack_with_one_key_for_all_machines_stays_as_it_is() -> None:
    keys = HostKeys(SHARED)
    assert (keys.own("gpu"), keys.of_servers(), keys.shown("server", is_server=True)) == (SHARED, SHARED, ())
    assert keys.known("gpu") == [HOST_PUBLIC_KEY]


def test_from_the_key_of_all_to_own_ones_and_to_those_of_another_secret_each_is_shown_before_it_is_asked_for() -> None:
    steps = [
        HostKeys(SHARED),
        HostKeys(SHARED, other=A),
        HostKeys(SHARED, secret=A),
        HostKeys(None, secret=A),
        HostKeys(None, secret=A, other=B),
        HostKeys(None, secret=B, other=A),
        HostKeys(None, secret=B),
    ]
    shown = [set(kinds(*each.shown("gpu", is_server=False))) for each in steps]
    assert shown == [
        set(),
        {"ssh-ed25519", P256},
        {"ssh-ed25519", P256},
        {P256},
        {P256, "ssh-ed25519"},
        {P256, "ssh-ed25519"},
        {"ssh-ed25519"},
    ]
    for before, after in pairwise(steps):
        for is_server in (False, True):
            there = before.shown("gpu", is_server=is_server) or (SHARED,)
            assert after.own("gpu") in there
            assert not is_server or after.of_servers() in there
            # A machine that leaves does so by the connection of the `up` before.
            assert before.own("gpu") in (after.shown("gpu", is_server=is_server) or (SHARED,))
    assert steps[1].known("gpu") == [HOST_PUBLIC_KEY, steps[2].own("gpu").public]
    assert steps[2].known("gpu") == [steps[2].own("gpu").public, HOST_PUBLIC_KEY]


@pytest.mark.parametrize(
    ("shared", "secret", "other", "words"),
    [
        (SHARED, B, "", "two of them give keys of one kind"),
        (SHARED, "", B, "two of them give keys of one kind"),
        (None, A, A.replace("0", "1"), "two of them give keys of one kind"),
        (None, A[2:], "", "it must be a: or b:, and 32"),
        (None, "a:short", "", "it must be a: or b:, and 32"),
        (None, "", A, "there is none to check connections against"),
    ],
)
def test_what_a_machine_cannot_show_at_once_is_refused_without_showing_it(
    shared: HostKey | None, secret: str, other: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        HostKeys(shared, secret, other)
    assert "0123" not in str(refused.value)
    assert "short" not in str(refused.value)
