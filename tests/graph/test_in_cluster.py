"""What is put into the cluster, and by which provider."""

import pulumi
import pytest

from components.cluster import kubeconfig_for
from stacks import Program


def test_a_rebuilt_machine_is_another_cluster_for_the_provider(program: Program) -> None:
    provider = program().one("cluster-kubernetes")
    assert provider.plain("clusterIdentifier") == "vm_id of mlops-k8s-master-vm"


def test_the_kubeconfig_points_at_the_public_address(program: Program) -> None:
    kubeconfig = program().exports["kubeconfig"]
    assert "server: https://198.51.100.10:6443\n" in kubeconfig.value
    assert "127.0.0.1" not in kubeconfig.value
    assert "certificate-authority-data: Q0E=\n" in kubeconfig.value


def test_what_is_in_the_cluster_goes_through_its_own_provider_and_ends_with_it(program: Program) -> None:
    graph = program()
    inside = [each for each in graph.resources if each.type.startswith("kubernetes:")]
    assert [each.type for each in inside] == ["kubernetes:core/v1:Namespace", "kubernetes:helm.sh/v3:Release"]
    for resource in inside:
        assert resource.stays
        assert resource.request.provider.startswith(graph.one("cluster-kubernetes").urn + "::")


def test_the_namespace_lets_the_operators_privileged_pods_in(program: Program) -> None:
    namespace = program().one("gpu-operator-namespace")
    assert namespace.plain("metadata", "name") == "gpu-operator"
    assert namespace.plain("metadata", "labels") == {
        "pod-security.kubernetes.io/enforce": "privileged",
        "pod-security.kubernetes.io/audit": "privileged",
        "pod-security.kubernetes.io/warn": "privileged",
    }


def test_the_release_is_the_pinned_chart_with_host_driver_and_toolkit(program: Program) -> None:
    release = program().one("gpu-operator-release")
    assert (release.plain("chart"), release.plain("version")) == ("gpu-operator", "v26.7.0")
    assert release.plain("repositoryOpts") == {"repo": "https://helm.ngc.nvidia.com/nvidia"}
    assert release.plain("name") == "gpu-operator"
    assert release.plain("namespace") == "gpu-operator"
    values = release.plain("values")
    assert values["driver"]["enabled"] is False
    assert values["toolkit"]["enabled"] is False
    assert values["migManager"]["enabled"] is False
    assert values["mig"]["strategy"] == "mixed"


def test_a_slow_start_of_the_operator_is_awaited_and_never_rolled_back(program: Program) -> None:
    release = program(gpuOperator={"timeoutMinutes": 45}).one("gpu-operator-release")
    assert release.plain("timeout") == 2700
    assert release.plain("atomic") is False
    assert release.plain("cleanupOnFail") is False
    assert release.plain("skipAwait") is False


def test_a_chart_that_is_not_in_a_repository_is_named_as_it_is(program: Program) -> None:
    release = program(sources={"gpuOperatorChart": "oci://registry.example.com/charts/gpu-operator"}).one(
        "gpu-operator-release"
    )
    assert release.plain("chart") == "oci://registry.example.com/charts/gpu-operator"
    assert "repositoryOpts" not in release.inputs


def test_a_kubeconfig_that_is_none_is_told_with_what_to_do() -> None:
    with pytest.raises(pulumi.RunError, match=r"rke2\.yaml on 198\.51\.100\.10 is not.*restart rke2-server"):
        kubeconfig_for("198.51.100.10", local="", balanced=False)
