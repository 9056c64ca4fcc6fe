"""The API server of these tests refuses what the real one refuses."""

import json
from typing import Any

import pytest
from a_machine import FIRST_BOOT, NAME, AMachine
from kubernetes_objects import node, pod, pod_for

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
        ("cordon", "another"),
        ("get", "configmap", "mig-k8s-turns", "-n", "kube-system"),
        ("get", "lease", "mig-k8s-turns", "-n", "kube-system"),
        ("logs", "-n", "work", "notebook"),
        ("delete", "namespace", "work"),
    ],
)
def test_a_kubelet_may_not_see_or_change_what_is_not_its_nodes(joined: AMachine, words: tuple[str, ...]) -> None:
    joined.join("agent")
    ended = kubectl(joined, *words, "-o", "json", kubeconfig="var/lib/rancher/rke2/agent/kubelet.kubeconfig")
    assert (ended.status, ended.stderr.startswith("Error from server (Forbidden)")) == (1, True)


KUBELET = "var/lib/rancher/rke2/agent/kubelet.kubeconfig"
RIGHTS = {
    "Role": {"rules": [{"resources": ["configmaps", "leases"], "resourceNames": ["ours"], "verbs": ["get", "update"]}]},
    "RoleBinding": {
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}],
        "roleRef": {"kind": "Role", "name": "rights"},
    },
}


def test_a_kubelet_may_cordon_its_own_node(joined: AMachine) -> None:
    joined.join("agent")
    assert kubectl(joined, "cordon", NAME, kubeconfig=KUBELET).status == 0
    (seen,) = joined.api.listed("nodes")
    assert seen["spec"] == {"unschedulable": True}


def test_a_role_gives_kubelets_the_object_that_it_names_and_never_a_lease(joined: AMachine) -> None:
    joined.join("agent")
    for kind, more in RIGHTS.items():
        kubectl(joined, "apply", "-f", "-", stdin=json.dumps({"kind": kind, "metadata": {"name": "rights"}, **more}))
    for name in ("ours", "theirs"):
        made = {"kind": "ConfigMap", "metadata": {"name": name, "namespace": "kube-system"}}
        assert kubectl(joined, "create", "-f", "-", stdin=json.dumps(made)).status == 0
    assert kubectl(joined, "get", "configmap", "theirs", kubeconfig=KUBELET).status == 1
    assert "(Forbidden)" in kubectl(joined, "get", "lease", "ours", kubeconfig=KUBELET).stderr
    ours = json.loads(kubectl(joined, "get", "configmap", "ours", kubeconfig=KUBELET).stdout)
    assert kubectl(joined, "replace", "-f", "-", stdin=json.dumps(ours), kubeconfig=KUBELET).status == 0
    again = kubectl(joined, "replace", "-f", "-", stdin=json.dumps(ours), kubeconfig=KUBELET)
    assert again.stderr.startswith('Error from server (Conflict): Operation cannot be fulfilled on configmaps "ours"')
    assert "(Forbidden)" in kubectl(joined, "delete", "configmap", "ours", kubeconfig=KUBELET).stderr


def eviction(uid: str = "uid-notebook", **options: object) -> str:
    options = {"preconditions": {"uid": uid}, "gracePeriodSeconds": 30, **options}
    metadata = {"name": "notebook", "namespace": "work"}
    return json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options})


NEVER: dict[str, Any] = {"priority": -1, "preemptionPolicy": "Never"}
"""Of a higher priority than the one that holds the device, and yet it waits."""
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
    # kubernetes: plugin/pkg/admission/serviceaccount; the controller manager makes the account.
    account = 'error looking up service account verify/default: serviceaccount "default" not found'
    assert kubectl(joined, "create", "-n", "verify", "-f", "-", stdin=manifest).stderr == "".join(
        f'Error from server (Forbidden): error when creating "STDIN": pods "{pod}" is forbidden: {account}\n'
        for pod in ("first", "second")
    )
    assert "(AlreadyExists)" in kubectl(joined, "create", "-f", "-", stdin=namespace).stderr
    assert kubectl(joined, "create", "-n", "verify", "-f", "-", stdin=manifest).succeeded
    kubectl(joined, "get", "pods", "-n", "verify", "-o", "json")
    seen = json.loads(kubectl(joined, "get", "pods", "-n", "verify", "-o", "json").stdout)["items"]
    assert [item["status"]["phase"] for item in seen] == ["Running", "Pending"]
    assert "1 Insufficient nvidia.com/gpu" in seen[1]["status"]["conditions"][0]["message"]
    assert kubectl(joined, "delete", "namespace", "verify").succeeded
    assert "(NotFound)" in kubectl(joined, "delete", "namespace", "verify").stderr
    assert kubectl(joined, "delete", "namespace", "verify", "--ignore-not-found").succeeded


def test_a_pod_of_a_priority_class_that_admission_does_not_know_is_refused(joined: AMachine) -> None:
    """kubernetes: plugin/pkg/admission/priority, which reads the classes from a cache."""
    lowest = {"kind": "PriorityClass", "metadata": {"name": "lowest"}, "value": -5, "preemptionPolicy": "Never"}
    with_class = json.dumps({"kind": "Pod", **pod_for("nvidia.com/gpu", "first", priorityClassName="lowest")})
    joined.api.change(namespaces=[{"metadata": {"name": "work"}}])
    for made in (False, True):
        if made:
            assert kubectl(joined, "create", "-f", "-", stdin=json.dumps(lowest)).succeeded
        refused = kubectl(joined, "create", "-n", "work", "-f", "-", stdin=with_class)
        assert refused.stderr == (
            'Error from server (Forbidden): error when creating "STDIN": pods "first" is forbidden:'
            " no PriorityClass with name lowest was found\n"
        )
    assert kubectl(joined, "create", "-n", "work", "--dry-run=server", "-f", "-", stdin=with_class).succeeded
    assert joined.api.listed("pods") == []
    assert kubectl(joined, "create", "-n", "work", "-f", "-", stdin=with_class).succeeded
    assert joined.api.listed("pods")[0]["spec"]["priority"] == -5


def test_a_pod_takes_the_device_of_one_of_lower_priority_and_of_no_other(joined: AMachine) -> None:
    def phases() -> dict[str, str]:
        listed = kubectl(joined, "get", "pods", "-n", "work", "-o", "json").stdout
        return {item["metadata"]["name"]: item["status"]["phase"] for item in json.loads(listed)["items"]}

    joined.api.submit(pod_for("nvidia.com/gpu", "low", priority=-5))
    joined.api.submit(pod_for("nvidia.com/gpu", "never", **NEVER))
    assert [phases(), phases()][1] == {"low": "Running", "never": "Pending"}
    joined.api.submit(pod_for("nvidia.com/gpu", "users"))
    assert [phases() for _ in range(4)][3] == {"never": "Pending", "users": "Running"}
    joined.api.submit(pod_for("nvidia.com/gpu", "another"))
    assert [phases() for _ in range(4)][3] == {"never": "Pending", "users": "Running", "another": "Pending"}
