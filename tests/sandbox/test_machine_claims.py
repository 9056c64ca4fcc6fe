"""Names and networks are the host's: two sandboxes never share one, whoever they belong to."""

import getpass
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox import instance, network, person
from sandbox.error import SandboxError
from sandbox.instance import Sandbox, free_network, holders
from sandbox.mirror.server import Mirror


@pytest.fixture(autouse=True)
def _a_host_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims and links of this test alone, and a user who may look."""
    (tmp_path / "links").mkdir()
    monkeypatch.setattr(instance, "_CLAIMS", tmp_path / "claims")
    monkeypatch.setattr(instance, "_LINKS", tmp_path / "links")
    (tmp_path / "netns").mkdir()
    monkeypatch.setattr(instance, "_NAMESPACES", tmp_path / "netns")
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def kept(root: Path, name: str, number: int) -> Sandbox:
    one = Sandbox(name=name, root=root, network=f"10.99.{number}")
    one.save()
    return one


def claim(one: Sandbox) -> Sandbox:
    """Claim names as a sandbox does that comes up: its network follows."""
    with one.claim():
        (instance._NAMESPACES / one.wire).touch()
    return one


def test_a_name_that_another_home_has_is_refused_with_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person, "command", lambda words: f"sudo {words}")
    claim(kept(tmp_path / "alice", "default", 0))
    with pytest.raises(SandboxError) as caught:
        claim(kept(tmp_path / "bob", "default", 1))
    assert str(caught.value) == (
        f"the name default belongs to another sandbox on this host: {tmp_path}/alice (user {getpass.getuser()})."
        " End that one (`sudo make sandbox-down`, as that user), or take another name: python -m sandbox --name NAME up"
    )


def test_a_network_that_another_sandbox_has_is_refused_with_its_holder(tmp_path: Path) -> None:
    claim(kept(tmp_path / "alice", "default", 7))
    with pytest.raises(SandboxError, match=r"the network 10\.99\.7\.0/24 belongs to another sandbox.*/alice \(user "):
        claim(kept(tmp_path / "bob", "other", 7))


def test_a_sandbox_claims_its_own_name_as_often_as_it_likes(tmp_path: Path) -> None:
    claim(claim(kept(tmp_path / "alice", "default", 0)))
    (tmp_path / "link").symlink_to(tmp_path / "alice")
    claim(Sandbox.load(tmp_path / "link"))
    assert [holder.name for holder in holders()] == ["default"]


def test_a_sandbox_whose_directory_is_gone_holds_nothing(tmp_path: Path) -> None:
    claim(kept(tmp_path / "alice", "default", 0))
    (tmp_path / "alice/instance.json").unlink()
    second = claim(kept(tmp_path / "bob", "default", 0))
    assert holders() == [second]


def test_a_sandbox_whose_network_is_gone_holds_nothing_either(tmp_path: Path) -> None:
    first = claim(kept(tmp_path / "alice", "default", 0))
    (tmp_path / "netns" / first.wire).unlink()
    second = claim(kept(tmp_path / "bob", "default", 0))
    assert holders() == [second]


def test_a_directory_that_became_another_sandbox_holds_its_new_name_only(tmp_path: Path) -> None:
    claim(kept(tmp_path / "alice", "old", 0))
    claim(kept(tmp_path / "alice", "new", 3))
    assert [holder.name for holder in holders()] == ["new"]
    assert [claim.name for claim in (tmp_path / "claims").iterdir()] == ["new"]


def test_what_was_released_can_be_claimed_by_another(tmp_path: Path) -> None:
    first, second = claim(kept(tmp_path / "alice", "default", 0)), kept(tmp_path / "bob", "default", 0)
    second.release()
    assert holders() == [first]
    first.release()
    assert list((tmp_path / "claims").iterdir()) == []
    claim(second)
    assert holders() == [second]


def test_a_mirror_that_is_stopped_for_good_leaves_no_claim(tmp_path: Path) -> None:
    Mirror(claim(kept(tmp_path / "alice", "default", 0))).stop()
    assert list((tmp_path / "claims").iterdir()) == []


def test_the_free_network_is_the_lowest_that_nobody_on_the_host_has(tmp_path: Path) -> None:
    assert free_network() == "10.99.0"
    claim(kept(tmp_path / "alice", "default", 0))
    (tmp_path / "links/mk8s1-host").mkdir()
    (tmp_path / "links/eth0").mkdir()
    assert free_network() == "10.99.2"
    assert free_network({2, 3}) == "10.99.4"
    with pytest.raises(SandboxError, match=r"no network 10\.99\.0 to 10\.99\.255 is free"):
        free_network(range(256))


def test_sandboxes_that_come_at_once_choose_another_network_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    all_have_begun, save = threading.Barrier(4), Sandbox.save

    def late(sandbox: Sandbox) -> None:
        with suppress(threading.BrokenBarrierError):  # who is alone waits in vain
            all_have_begun.wait(0.2)
        save(sandbox)

    monkeypatch.setattr(Sandbox, "save", late)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(instance.made, ("one", "two", "three", "four")))
    assert sorted(sandbox.network for sandbox in made) == ["10.99.0", "10.99.1", "10.99.2", "10.99.3"]


def test_who_is_not_root_sees_no_other_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(kept(tmp_path / "alice", "default", 0))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert holders() == []


def test_a_mirror_claims_before_it_touches_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(kept(tmp_path / "alice", "default", 0))
    touched: list[Sandbox] = []
    monkeypatch.setattr(network, "up", touched.append)
    with pytest.raises(SandboxError, match="the name default belongs to another sandbox"):
        Mirror(kept(tmp_path / "bob", "default", 1)).start()
    assert touched == []
