"""Several agents of one cluster, each a machine of the tests, and the server that says how many may be out."""

import json
from pathlib import Path

from a_machine import DESIRED, FIRST_BOOT, AMachine
from calls import call
from kubernetes_api import KubernetesApi
from kubernetes_objects import node

from machine.documents.turns import Turns
from machine.kubernetes.turns import AgentTurn


class Agents:
    """Machines with the kubelet's own rights in one cluster."""

    def __init__(self, folder: Path, *names: str, at_once: int = 1) -> None:
        self.folder, self.machines = folder, {}
        self.server = self._machine("server", "server")
        self.api = self.server.api
        self.api.change(nodes=[node(name, FIRST_BOOT, {}, {}) for name in ("server", *names)])
        for name in names:
            self.machines[name] = self._machine(name, "agent")
        self.limit(at_once)

    def _machine(self, name: str, role: str) -> AMachine:
        (self.folder / name).mkdir()
        machine = AMachine.below(self.folder / name)
        object.__setattr__(machine, "api", KubernetesApi(self.folder / "api", name, self.folder / f"record-{name}"))
        machine.answers["kubectl"] = machine.api.answer
        machine.desire(node={"name": name}, rke2={**DESIRED["rke2"], "role": role})
        machine.join(role)
        return machine

    def limit(self, at_once: int) -> None:
        said = call(self.server, "limit-turns", stdin=json.dumps({"version": 1, "agentsAtOnce": at_once}))
        assert said.status == 0, said.stderr

    def turn(self, name: str) -> AgentTurn:
        found = AgentTurn.of(self.machines[name])
        assert found is not None
        return found

    def record(self) -> Turns:
        (found,) = self.api.listed("configmaps")
        return Turns.from_json(found["data"]["turns.json"])

    def out(self) -> list[str]:
        return sorted(self.record().turns)

    def cordoned(self) -> list[str]:
        nodes = self.api.listed("nodes")
        return sorted(each["metadata"]["name"] for each in nodes if each.get("spec", {}).get("unschedulable"))

    def change_node(self, name: str, **status: object) -> None:
        """Replace parts of a node's status."""
        nodes = self.api.listed("nodes")
        for each in nodes:
            if each["metadata"]["name"] == name:
                each["status"] |= status
        self.api.change(nodes=nodes)
