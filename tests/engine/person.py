"""A person who lives with a stack `prod`: the real CLI, over real SSH, machines of loopback_cloud.py that never boot.

The commands run in a network namespace of their own, whose loopback has the machines' addresses, so that they are
dialled on port 22 as on Azure.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import network, private_file, recovery
from sandbox.cloud import load_balancer
from sandbox.cloud.arm import SUBSCRIPTION
from sandbox.engine.environment import Environment
from sandbox.instance import Sandbox
from sandbox.providers import interpreter
from sandbox.virtualenv import virtualenv

CHECKOUT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
NETWORK = "10.99.250"


@contextmanager
def own_network() -> Iterator[list[str]]:
    """The words before a command that run it where the machines' addresses are."""
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    setup = f"ip link set lo up && ip route add local {NETWORK}.0/24 dev lo && echo ready && exec cat"
    with subprocess.Popen(
        ["unshare", *own, "--net", "sh", "-c", setup],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stderr
        if holder.stdout.readline() != "ready\n":
            pytest.skip(f"no network namespace can be made here: {holder.stderr.read().strip()}")
        join = ["--user", "--preserve-credentials"] if own else []
        yield ["nsenter", "--target", str(holder.pid), *join, "--net", "--"]
        holder.stdin.close()


@dataclass(frozen=True)
class Person:
    """A person at a checkout with a stack `prod`."""

    environment: Environment
    checkout: Path
    namespace: list[str]

    @property
    def variables(self) -> dict[str, str]:
        own = {name: value for name, value in self.environment.variables().items() if name != "PULUMI_STACK"}
        place = {"LOCATION": "westeurope", "ADMIN_CIDRS": "203.0.113.7/32", "SSH_KEY": f"{self.checkout}-key"}
        place["ARM_SUBSCRIPTION_ID"] = SUBSCRIPTION
        return {**own, **place}

    def _done(self, *command: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.namespace, *command],
            cwd=self.checkout,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=seconds,
            check=False,
        )

    def run(self, *command: str) -> str:
        done = self._done(*command)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *arguments: str, seconds: float = 300) -> str:
        """All that a command of Pulumi's says which has to fail."""
        done = self._done("pulumi", *arguments, "--stack", "prod", seconds=seconds)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def pulumi(self, *arguments: str) -> str:
        return self.run("pulumi", *arguments, "--stack", "prod")

    def preview(self) -> dict[str, set[str]]:
        """Operation → the resources it is for, as TYPE NAME."""
        steps = json.loads(self.pulumi("preview", "--json"))["steps"]
        found: dict[str, set[str]] = {}
        for step in steps:
            *_, kind, name = step["urn"].split("::")
            found.setdefault(step["op"], set()).add(f"{kind.rsplit('$', 1)[-1]} {name}")
        return found

    def up(self) -> None:
        self.pulumi("up", "--yes", "--skip-preview")

    def link_environment(self) -> None:
        """Have the virtual environment of the tests in the place of the one that `pulumi install` makes."""
        (self.checkout / "venv").symlink_to(virtualenv())

    def edit(self, **values: object) -> None:
        """Change keys of the stack file."""
        file = self.checkout / "Pulumi.prod.yaml"
        stack = yaml.safe_load(file.read_text())
        stack["config"] |= {f"mig-k8s:{key}": value for key, value in values.items()}
        file.write_text(yaml.safe_dump(stack))

    def machines(self) -> dict[str, str]:
        """Name → id of the machines there are now."""
        found = (self.environment.root / "machines").glob("*/machine.json")
        return {json.loads(file.read_text())["name"]: file.parent.name for file in found}

    def commands(self, vm_id: str) -> list[list[str]]:
        """What was run on a machine, in order."""
        notes = self.environment.root / "machines" / vm_id / "commands"
        return [json.loads(line)["command"] for line in notes.read_text().splitlines()]

    def removals(self) -> list[dict[str, Any]]:
        """In order: which `node` was removed, `on` which machine, and which machines were `there`."""
        notes = self.environment.root / "removals"
        return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []

    def releases(self, vm_id: str) -> int:
        """How often the operator was installed or upgraded in the cluster of this machine."""
        file = self.environment.root / "clusters" / vm_id / "releases.json"
        return len(json.loads(file.read_text())["gpu-operator"]) if file.exists() else 0

    def forget(self, name: str) -> None:
        """Take a resource out of the state, as if it had never been made."""
        state = json.loads(self.pulumi("stack", "export", "--show-secrets"))
        known = state["deployment"]["resources"]
        (urn,) = (each["urn"] for each in known if each["urn"].endswith(f"::{name}") and each["custom"])
        state["deployment"]["resources"] = [each for each in known if each["urn"] != urn]
        for each in state["deployment"]["resources"]:
            each["dependencies"] = [other for other in each.get("dependencies", ()) if other != urn]
            for key, others in each.get("propertyDependencies", {}).items():
                each["propertyDependencies"][key] = [other for other in others or () if other != urn]
        file = self.checkout / "state.json"
        private_file.write(file, json.dumps(state))
        self.pulumi("stack", "import", "--file", str(file))
        file.unlink()

    def azure(self) -> dict[str, Any]:
        """What the cloud has, by ARM id."""
        return dict(json.loads((self.environment.root / "azure.json").read_text()))

    def group(self) -> str:
        """The resource group as Azure knows it."""
        (group,) = (each for each in self.azure() if "/providers/" not in each)
        return str(group.rsplit("/", 1)[1])

    def output(self, name: str) -> Any:  # noqa: ANN401 - what JSON holds
        return json.loads(self.pulumi("stack", "output", name, "--json"))


@contextmanager
def person_at(folder: Path, namespace: list[str]) -> Iterator[Person]:
    """With a checkout of their own in a folder; what they started ends with them."""
    environment = Environment(folder / "sandbox", machines=True)
    environment.prepare(CHECKOUT / "Pulumi.dev.yaml", None)
    name = f"whole-life-{os.getpid()}"  # of this run alone: what another one left is not counted as ours
    sandbox = Sandbox(name=name, root=environment.root, network=NETWORK)
    sandbox.save()
    for program in ("kubectl", "helm"):
        words = f'{sys.executable} {HERE / "stack_programs.py"} {program} {environment.root / "clusters"} "$@"'
        private_file.write(environment.programs / program, f"#!/bin/sh\nexec {words}\n", mode=0o700)
    (plugin,) = (environment.root / "pulumi/home/plugins").glob("resource-azure-native-*/pulumi-resource-azure-native")
    script = interpreter.start_script(f"{CHECKOUT}:{HERE}", str(HERE / "loopback_cloud.py"))
    private_file.write(plugin, script, mode=0o700)
    checkout = folder / "checkout"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "sandbox", "tests", "venv", "Pulumi.*.yaml")
    shutil.copytree(CHECKOUT, checkout, ignore=left_out)
    try:
        yield Person(environment, checkout, namespace)
    finally:
        recovery.end_plugins(environment.root)  # the machines too: the provider started them
        if made := sorted(path.name for path in Path("/run/netns").glob(f"mk8s-{name}*")):
            load_balancer.stop_all(sandbox)
            network.down(sandbox)
            pytest.fail(f"the engine tests' cloud made network on this host: {made}")
