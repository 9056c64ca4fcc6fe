"""The version of every kubelet and of the API server, held to the stack's."""

from a_machine import FIRST_BOOT, NAME, AMachine
from kubernetes_objects import node
from verified_cluster import ALLOCATABLE, LABELS, as_it_should_be, failed, verified

VERSION, NEWER = "v1.35.7+rke2r1", "v1.36.4+rke2r1"
REMEDY = (
    "An upgrade there did not come to its end: `sudo mig-k8s status` on it tells why, `pulumi up` goes on with it."
    " Where `rke2 --version` there says v1.36.4+rke2r1, `sudo systemctl restart` of its rke2-server or rke2-agent is"
    " enough."
)


def test_kubelets_and_the_api_server_are_of_the_stacks_version(a_machine: AMachine) -> None:
    as_it_should_be(a_machine)
    status, report, _ = verified(a_machine, rke2Version=VERSION)
    seen = [(check.name, check.node, check.seen, check.passed) for check in report.checks if "version" in check.name]
    assert seen == [("kubelet version", NAME, VERSION, True), ("API server version", "", VERSION, True)]
    assert status == 0


def test_a_kubelet_of_another_version_fails_by_name_though_all_else_is_well(a_machine: AMachine) -> None:
    as_it_should_be(a_machine)
    a_machine.api.change(version=NEWER)
    status, report, _ = verified(a_machine, rke2Version=NEWER)
    assert status == 1
    (check,) = failed(report)
    assert (check.name, check.node, check.seen, check.remedy) == ("kubelet version", NAME, VERSION, REMEDY)


def test_an_api_server_of_another_version_fails(a_machine: AMachine) -> None:
    as_it_should_be(a_machine)
    upgraded = node(NAME, FIRST_BOOT, ALLOCATABLE, LABELS)
    upgraded["status"]["nodeInfo"]["kubeletVersion"] = NEWER
    a_machine.api.change(nodes=[upgraded])
    status, report, _ = verified(a_machine, rke2Version=NEWER)
    assert status == 1
    assert [(check.name, check.node, check.seen) for check in failed(report)] == [("API server version", "", VERSION)]


def test_expectations_of_an_older_release_ask_for_no_version(a_machine: AMachine) -> None:
    as_it_should_be(a_machine)
    status, report, _ = verified(a_machine)
    assert (status, [check for check in report.checks if "version" in check.name]) == (0, [])
