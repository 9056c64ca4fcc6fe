"""A restore is cut off by a loss of power at every program that it runs and every file that it changes, on the server
that restores and on one that joins it."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backed_up import CONTENT, DATABASE, BackedUp, order
from calls import call
from killable_machine import PowerCut
from test_rejoin import ASIDE, CONFIG, DB
from test_rejoin import order as way_back

from machine.backup import rke2
from machine.documents.backup import Restored
from machine.host import files

pytestmark = pytest.mark.exhaustive
WHEN = pytest.mark.parametrize("when", ["before", "after"])
GPU = ["mlops-k8s-master", "gpu"]


class Power:
    """Is lost at the `at`th step; nothing is done any more then."""

    def __init__(self, at: int, when: str) -> None:
        self.at, self.when, self.steps = at, when, 0

    @property
    def was_lost(self) -> bool:
        return self.steps >= self.at

    def needed_by(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def taken(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the step has
            self.steps += 1
            if self.steps > self.at or (self.steps == self.at and self.when == "before"):
                raise PowerCut
            result = step(*arguments, **named)
            if self.steps == self.at:
                raise PowerCut
            return result

        return taken


def lives(tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch, *words: str, stdin: str) -> Iterator[BackedUp]:
    """A machine for each step at which the command is cut off, and at last one on which it ends by itself."""
    for at in range(1, 50):
        (tmp_path / str(at)).mkdir()
        machine = BackedUp.below(tmp_path / str(at))
        power = Power(at, when)
        with monkeypatch.context() as patches, contextlib.suppress(PowerCut):
            patches.setattr(files, "write", power.needed_by(files.write))
            patches.setattr(rke2, "rename", power.needed_by(rke2.rename))
            patches.setattr(BackedUp, "run", power.needed_by(BackedUp.run))
            call(machine, *words, stdin=stdin)
        yield machine
        if not power.was_lost:
            return
    pytest.fail("it never ends")


@WHEN
def test_the_server_that_restores_has_the_backup_after_the_next_run(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories = []
    for machine in lives(tmp_path, when, monkeypatch, "restore", stdin=order(nodes=GPU)):
        done = call(machine, "restore", stdin=order(nodes=GPU))
        assert done.status == 0, (machine.story(), done.stderr)
        assert machine.read(f"{DATABASE}/restored") == CONTENT.decode()
        assert machine.systemd.active == ["rke2-server.service"]
        assert machine.story()[-1] == "start"
        assert machine.forgotten()[-1:] == ["gpu.node-password.rke2"]
        assert re.fullmatch("[0-9a-f]{8}", Restored.from_json(done.stdout).restore)
        stories.append(machine.story())
    assert len(stories) > 12
    assert max(story.count("reset") for story in stories) == 2  # between the reset and its record
    assert stories[-1] == ["save mig-k8s-before-restore", "stop", "reset", "start", "start"]


@WHEN
@pytest.mark.parametrize("reboots", [False, True], ids=["stays", "reboots"])
def test_a_server_that_joins_it_leaves_its_old_datastore_once_and_founds_nothing(
    *, when: str, reboots: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = 0
    for machine in lives(tmp_path, when, monkeypatch, "rejoin", stdin=way_back()):
        seen += 1
        if not machine.path(f"{DB}/etcd").exists() and (reboots or "start" in machine.story()):
            # RKE2 makes a datastore where there is none, and must not do that by itself.
            joined = machine.story()[-1] == "start"
            assert joined or "server: https://10.60.0.4:9345" in machine.read(CONFIG)
            machine.write(f"{DB}/etcd/data", "the restored cluster's")
        done = call(machine, "rejoin", stdin=way_back())
        assert done.status == 0, done.stderr
        assert machine.read(f"{ASIDE}/etcd/data") == "the datastore"
        left = machine.path(f"{DB}/etcd/data")
        assert not left.exists() or left.read_text() == "the restored cluster's"
        assert machine.read(CONFIG) == "node-ip: 10.60.0.4\n"
        assert machine.systemd.active == ["rke2-server.service"]
    assert seen > 5
