"""`make rotate-certificates NAME=prod`: which machines are told, in which order, and what is said of an early end."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts.rotate_certificates import conclude, rotate
from scripts.stack import StackError
from stacks import REPOSITORY

COMMAND = "sudo mig-k8s rotate-certificates"
KUBECONFIG = ("--target-replace", "**::cluster-kubeconfig", "--target", "**::cluster-kubernetes")


class Ways:
    """Commands in place of ssh to machines, each of which ends as it is told; which were called, with what."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def to(self, *names: str, status: int = 0) -> dict[str, list[str]]:
        found = {}
        for name in names:
            path = self.folder / name
            path.write_text(f'#!/bin/sh\necho "{name}: $*" >>{self.folder}/calls\nexit {status}\n')
            path.chmod(0o755)
            found[name] = [str(path)]
        return found

    def called(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def ways(tmp_path: Path) -> Ways:
    return Ways(tmp_path)


def test_servers_come_one_after_the_other_and_then_agents(ways: Ways) -> None:
    assert rotate(ways.to("server", "server-1"), ways.to("gpu", "cpu")) == []
    assert ways.called() == [f"{name}: {COMMAND}" for name in ("server", "server-1", "gpu", "cpu")]


def test_after_a_server_that_lets_nobody_in_none_is_touched(ways: Ways) -> None:
    with pytest.raises(StackError, match=r"/dead` does not get in, .* No server after dead was touched, and no agent"):
        rotate({**ways.to("server"), **ways.to("dead", status=255), **ways.to("server-1")}, ways.to("gpu"))
    assert ways.called() == [f"server: {COMMAND}", f"dead: {COMMAND}"]


@pytest.mark.parametrize("status", [1, 2])
def test_after_a_machine_that_fails_none_is_touched(ways: Ways, status: int) -> None:
    with pytest.raises(
        StackError, match=f"ended on gpu with status {status}, see above; no machine after it was touch"
    ):
        rotate(ways.to("server"), {**ways.to("gpu", status=status), **ways.to("gpu-1")})
    assert ways.called() == [f"server: {COMMAND}", f"gpu: {COMMAND}"]


def test_an_agent_that_is_away_is_left_and_named_in_the_end(ways: Ways) -> None:
    left = rotate(ways.to("server"), {**ways.to("off", status=255), **ways.to("gpu")})
    assert (left, len(ways.called())) == (["off"], 3)
    with pytest.raises(StackError, match="all machines have new certificates but off, which let nobody in, see above"):
        conclude(left)
    conclude([])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a stack prod, of two servers and an agent which `pulumi up` has not made yet."""
    for name in ("machine", "plan", "scripts"):
        shutil.copytree(REPOSITORY / name, tmp_path / "checkout" / name, ignore=shutil.ignore_patterns("__pycache__"))
    config = yaml.safe_load((REPOSITORY / "examples/cluster.yaml").read_text())
    pools = [{"name": "server", "count": 3}, {"name": "gpu", "role": "agent"}, {"name": "new", "role": "agent"}]
    config["config"]["mig-k8s:nodePools"] = [{"vmSize": "Standard_D4s_v5", **pool} for pool in pools]
    (tmp_path / "checkout/Pulumi.prod.yaml").write_text(yaml.safe_dump(config))
    return tmp_path / "checkout"


def test_then_the_kubeconfig_alone_is_read_again(tmp_path: Path, checkout: Path) -> None:
    there = ("gpu", "server", "server-1", "server-2")
    outputs = {"ssh": {name: f"ssh me@{name}" for name in there}, "knownHosts": {name: f"{name} key" for name in there}}
    (tmp_path / "outputs").write_text(json.dumps(outputs))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(
        f'#!/bin/sh\nfor last; do before=$login; login=$last; done\necho "$before $last" >>{tmp_path}/calls\n'
    )
    (programs / "pulumi").write_text(
        f'#!/bin/sh\necho "pulumi $*" >>{tmp_path}/calls\n[ "$1" = up ] || cat {tmp_path}/outputs\n'
    )
    for path in programs.iterdir():
        path.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "scripts.rotate_certificates", "prod"],
        cwd=checkout,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (
        0,
        "Fetch it again: pulumi stack output kubeconfig --show-secrets --stack prod\n",
    ), done.stderr
    assert (tmp_path / "calls").read_text().splitlines() == [
        "pulumi stack output --json --stack prod",
        *(f"me@{name} {COMMAND}" for name in ("server", "server-1", "server-2", "gpu")),
        f"pulumi up --stack prod --yes --skip-preview --suppress-outputs {' '.join(KUBECONFIG)}",
    ]
