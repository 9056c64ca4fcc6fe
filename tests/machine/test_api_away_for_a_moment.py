"""Commands that change something in the cluster outlast an API server that is away when it is asked first.

Each change of a verification has its test in test_verification_without_an_api.
"""

from collections.abc import Callable
from pathlib import Path

from a_mig_manager import CONFIG, STATE, MigManager, document, mig_labels, owned_node
from agents import Agents
from calls import call
from gpus import TUTORIAL, Gpus

from machine.documents.node_removal import NodeRemoval
from machine.documents.turns import Turns


def test_a_turn_and_its_limit(tmp_path: Path) -> None:
    agents = Agents(tmp_path, "gpu")
    agents.server.api.stutter()
    agents.limit(2)
    agents.machines["gpu"].api.stutter()
    agents.turn("gpu").take("RKE2 restarts")
    assert (agents.out(), agents.cordoned()) == (["gpu"], ["gpu"])
    agents.turn("gpu").end()
    assert (agents.record(), agents.cordoned()) == (Turns(agents_at_once=2), [])


def test_the_removal_of_a_machine(tmp_path: Path) -> None:
    agents = Agents(tmp_path, "gpu", "gpu-1")
    agents.server.api.stutter()
    ended = call(agents.server, "remove-node", stdin=NodeRemoval("gpu", "refuse", ("kube-system",), False).to_json())
    assert (ended.status, ended.stderr) == (0, "deletes node gpu\n")
    assert [each["metadata"]["name"] for each in agents.api.listed("nodes")] == ["server", "gpu-1"]


def test_labels_for_mig_manager(gpus: Callable[..., Gpus]) -> None:
    live = owned_node(gpus("A100-80GB"))
    manager = MigManager(live)
    manager.makes = "9:4,14:0,19:2"
    live.api.stutter()
    ended = call(live.machine, "label", stdin=document(TUTORIAL))
    assert ended.status == 0, ended.stderr
    assert mig_labels(live) == {CONFIG: "new", STATE: "success"}
