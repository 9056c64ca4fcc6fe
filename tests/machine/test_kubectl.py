"""kubectl on a node: a read outlasts an API server that is away, an answer of the API is never asked for again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from machine.host.clock import Clock
from machine.host.program import Ended
from machine.host.this_machine import ThisMachine
from machine.kubernetes.kubectl import AwayError, Kubectl, RefusedError


class Seconds(Clock):
    """Passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Scripted(ThisMachine):
    """Its kubectl says one answer after the other: standard output, or standard error with status 1."""

    answers: Iterator[tuple[str, str]] = field(default_factory=lambda: iter(()))
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, *command: str, seconds: float = 120, stdin: str = "") -> Ended:  # noqa: ARG002 - its interface
        self.asked.append(command)
        out, err = next(self.answers)
        return Ended(command, 1 if err else 0, out, err)


def kubectl(tmp_path: Path, *answers: tuple[str, str]) -> tuple[Kubectl, Scripted]:
    machine = Scripted(root=tmp_path, clock=Seconds(), answers=iter(answers))
    return Kubectl(machine, Path("/etc/rancher/rke2/rke2.yaml"), 60), machine


REFUSED_CONNECTION = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"
AWAY = [
    REFUSED_CONNECTION,
    "Unable to connect to the server: dial tcp 127.0.0.1:6443: connect: connection refused",
    "Unable to connect to the server: net/http: TLS handshake timeout",
    "Unable to connect to the server: EOF",
    "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
    "Error from server (InternalError): an error on the server has prevented the request from succeeding",
    "Error from server: etcdserver: request timed out",
    "Error from server (Timeout): the server was unable to return a response in the time allotted",
    "`kubectl get` did not end within 60 s",
]
NO = {
    'Error from server (NotFound): pods "a" not found': "NotFound",
    "Error from server (Forbidden): nodes is forbidden: User cannot list resource": "Forbidden",
    "Error from server (Conflict): the UID in the precondition does not match": "Conflict",
    "Error from server (TooManyRequests): Cannot evict pod as it would violate the pod's disruption budget.": (
        "TooManyRequests"
    ),
    'error: the server doesn\'t have a resource type "clusterpolicy"': "",
}


@pytest.mark.parametrize("words", AWAY)
def test_a_read_is_asked_again_while_the_api_server_is_away(tmp_path: Path, words: str) -> None:
    tool, machine = kubectl(tmp_path, ("", words), ("", words), ('{"items": [{"kind": "Node"}]}', ""))
    assert tool.get("nodes") == [{"kind": "Node"}]
    assert len(machine.asked) == 3


def test_a_read_gives_up_after_a_minute_and_says_what_it_heard(tmp_path: Path) -> None:
    tool, machine = kubectl(tmp_path, *[("", REFUSED_CONNECTION)] * 100)
    with pytest.raises(AwayError, match=r"kubectl get nodes -o: The connection to the server .* was refused"):
        tool.get("nodes")
    assert len(machine.asked) == 62


@pytest.mark.parametrize(("words", "reason"), NO.items())
def test_a_refusal_is_never_asked_for_again_and_has_its_reason(tmp_path: Path, words: str, reason: str) -> None:
    tool, machine = kubectl(tmp_path, ("", words))
    with pytest.raises(RefusedError) as refused:
        tool.get("pods")
    assert refused.value.reason == reason
    assert len(machine.asked) == 1


def test_a_change_is_made_once_whatever_is_said(tmp_path: Path) -> None:
    tool, machine = kubectl(tmp_path, ("", REFUSED_CONNECTION))
    with pytest.raises(AwayError):
        tool.change("label", "node", "a", "b=c")
    assert machine.asked == [
        (
            str(tmp_path / "var/lib/rancher/rke2/bin/kubectl"),
            "--kubeconfig",
            "/etc/rancher/rke2/rke2.yaml",
            "--request-timeout=30s",
            "label",
            "node",
            "a",
            "b=c",
        )
    ]


def test_the_administrators_kubeconfig_is_taken_before_the_kubelets(tmp_path: Path) -> None:
    machine = ThisMachine(tmp_path)
    assert Kubectl.here(machine) is None
    kubelets = tmp_path / "var/lib/rancher/rke2/agent/kubelet.kubeconfig"
    kubelets.parent.mkdir(parents=True)
    kubelets.touch()
    found = Kubectl.here(machine)
    assert found is not None
    assert found.kubeconfig == kubelets
    administrators = tmp_path / "etc/rancher/rke2/rke2.yaml"
    administrators.parent.mkdir(parents=True)
    administrators.touch()
    found = Kubectl.here(machine)
    assert found is not None
    assert found.kubeconfig == administrators
