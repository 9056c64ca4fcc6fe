"""The API server of these tests refuses what the real one refuses."""

import json

import pytest
from a_machine import FIRST_BOOT, NAME, AMachine
from kubernetes_api import node, pod

from machine.host.program import Ended


@pytest.fixture
def joined(a_machine: AMachine) -> AMachine:
    a_machine.join()
    a_machine.api.change(nodes=[node(NAME, FIRST_BOOT, {"nvidia.com/gpu": "1"}, {"a": "b"})])
    return a_machine


def kubectl(machine: AMachine, *words: str, stdin: str = "", kubeconfig: str = "etc/rancher/rke2/rke2.yaml") -> Ended:
    program, config = machine.path("/var/lib/rancher/rke2/bin/kubectl"), machine.path(kubeconfig)
    return machine.run(str(program), "--kubeconfig", str(config), "--request-timeout=30s", *words, stdin=stdin)


@pytest.mark.parametrize(
    "words",
    [
        ("get", "nodes"),
        ("get", "nodes", "--field-selector=metadata.name=another"),
        ("get", "pods", "--all-namespaces"),
        ("get", "pods", "-A", "--field-selector=spec.nodeName=another"),
        ("label", "node", "another", "--overwrite", "a=c"),
        ("label", "node", NAME, "--overwrite", "node-restriction.kubernetes.io/a=c"),
        ("logs", "-n", "work", "notebook"),
        ("delete", "namespace", "work"),
    ],
)
def test_a_kubelet_may_not_see_or_change_what_is_not_its_nodes(joined: AMachine, words: tuple[str, ...]) -> None:
    joined.join("agent")
    ended = kubectl(joined, *words, "-o", "json", kubeconfig="var/lib/rancher/rke2/agent/kubelet.kubeconfig")
    assert (ended.status, ended.stderr.startswith("Error from server (Forbidden)")) == (1, True)


def eviction(uid: str = "uid-notebook", **options: object) -> str:
    options = {"preconditions": {"uid": uid}, "gracePeriodSeconds": 30, **options}
    metadata = {"name": "notebook", "namespace": "work"}
    return json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options})


EVICT = ("create", "--raw", "/api/v1/namespaces/work/pods/notebook/eviction", "-f", "-")


def test_an_eviction_asks_budgets_and_preconditions_and_the_pod_ends_later(joined: AMachine) -> None:
    assert "(NotFound)" in kubectl(joined, *EVICT, stdin=eviction()).stderr
    joined.api.change(pods=[pod("notebook", NAME, "uid-notebook")], daemons={}, budgets={"notebook": ["one"]})
    assert "(Conflict)" in kubectl(joined, *EVICT, stdin=eviction("another")).stderr
    refused = kubectl(joined, *EVICT, stdin=eviction(dryRun=["All"]))
    assert refused.stderr == (
        "Error from server (TooManyRequests): Cannot evict pod as it would violate the pod's disruption budget.\n"
    )
    assert "The disruption budget one needs" in kubectl(joined, *EVICT, "-v=8", stdin=eviction()).stderr
    joined.api.change(budgets={})
    assert kubectl(joined, *EVICT, stdin=eviction(dryRun=["All"])).succeeded
    assert "deletionTimestamp" not in joined.api.listed("pods")[0]["metadata"]
    assert kubectl(joined, *EVICT, stdin=eviction()).succeeded
    seen = json.loads(kubectl(joined, "get", "pods", "-n", "work", "-o", "json").stdout)["items"]
    assert ["deletionTimestamp" in item["metadata"] for item in seen] == [True]
    assert json.loads(kubectl(joined, "get", "pods", "-n", "work", "-o", "json").stdout)["items"] == []


def test_a_pod_without_a_device_left_stays_pending_and_says_why(joined: AMachine) -> None:
    limits = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
    pods = [
        {"kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [limits]}} for name in ("first", "second")
    ]
    manifest = json.dumps({"kind": "List", "items": pods})
    assert "(NotFound)" in kubectl(joined, "create", "-n", "verify", "-f", "-", stdin=manifest).stderr
    namespace = json.dumps({"kind": "Namespace", "metadata": {"name": "verify"}})
    assert kubectl(joined, "create", "-f", "-", stdin=namespace).succeeded
    assert "(AlreadyExists)" in kubectl(joined, "create", "-f", "-", stdin=namespace).stderr
    assert kubectl(joined, "create", "-n", "verify", "-f", "-", stdin=manifest).succeeded
    kubectl(joined, "get", "pods", "-n", "verify", "-o", "json")
    seen = json.loads(kubectl(joined, "get", "pods", "-n", "verify", "-o", "json").stdout)["items"]
    assert [item["status"]["phase"] for item in seen] == ["Running", "Pending"]
    assert "1 Insufficient nvidia.com/gpu" in seen[1]["status"]["conditions"][0]["message"]
    assert kubectl(joined, "delete", "namespace", "verify").succeeded
    assert "(NotFound)" in kubectl(joined, "delete", "namespace", "verify").stderr
    assert kubectl(joined, "delete", "namespace", "verify", "--ignore-not-found").succeeded
