"""The kubernetes stand-in: when the provider is replaced, and what happens without a cluster."""

from pathlib import Path

import pytest

from sandbox.providers.kubernetes import Kubernetes
from sandbox.providers.resource_provider import Failure
from sandbox.providers.values import UNKNOWN

RELEASE = "kubernetes:helm.sh/v3:Release"


def kubeconfig(server: str, credential: str = "t") -> str:
    return (
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        f"clusters: [{{name: k, cluster: {{server: '{server}'}}}}]\n"
        "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
        f"users: [{{name: u, user: {{token: {credential}}}}}]\n"
    )


HERE, THERE = kubeconfig("https://10.99.0.10:6443"), kubeconfig("https://10.99.0.11:6443")


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"kubeconfig": HERE, "clusterIdentifier": "a"}, {"kubeconfig": UNKNOWN, "clusterIdentifier": "a"}, []),
        ({"kubeconfig": HERE, "clusterIdentifier": "a"}, {"kubeconfig": THERE, "clusterIdentifier": "a"}, []),
        (
            {"kubeconfig": HERE, "clusterIdentifier": "a"},
            {"kubeconfig": HERE, "clusterIdentifier": "b"},
            ["clusterIdentifier"],
        ),
        ({"kubeconfig": HERE}, {"kubeconfig": HERE, "clusterIdentifier": "a"}, []),
        ({"kubeconfig": HERE}, {"kubeconfig": UNKNOWN}, ["kubeconfig"]),
        ({"kubeconfig": HERE}, {"kubeconfig": THERE}, ["kubeconfig"]),
        ({"kubeconfig": HERE}, {"kubeconfig": kubeconfig("https://10.99.0.10:6443", "rotated")}, []),
        ({"kubeconfig": "garbage"}, {"kubeconfig": HERE}, []),
    ],
)
def test_the_cluster_identifier_decides_what_is_another_cluster(
    old: dict[str, str], new: dict[str, str], replaced: list[str]
) -> None:
    assert Kubernetes().replaced_configuration(old, new) == replaced


def test_an_unreadable_kubeconfig_is_a_cluster_out_of_reach() -> None:
    provider = Kubernetes()
    provider.configure({"kubeconfig": ""})
    with pytest.raises(Failure, match=r"configured Kubernetes cluster is unreachable"):
        provider.create("kubernetes:core/v1:Namespace", "urn", {"metadata": {"name": "n"}}, 5)


def test_the_version_of_a_local_chart_is_taken_from_it(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: gpu-operator\nversion: v26.7.0\n")
    checked = Kubernetes().check(RELEASE, "r", {}, {"chart": str(tmp_path), "name": "gpu-operator"}, b"")
    assert checked["version"] == "v26.7.0"
    assert (checked["namespace"], checked["timeout"]) == ("default", 300)


def test_a_release_keeps_the_name_it_was_given_by_chance() -> None:
    first = Kubernetes().check(RELEASE, "r", {}, {"chart": "gpu-operator"}, b"one")["name"]
    assert first.startswith("r-")
    again = Kubernetes().check(RELEASE, "r", {"name": first}, {"chart": "gpu-operator"}, b"two")["name"]
    assert again == first


@pytest.mark.parametrize(
    ("token", "path", "replaced"),
    [
        (RELEASE, "name", True),
        (RELEASE, "namespace", True),
        (RELEASE, "values.mig.strategy", False),
        ("kubernetes:core/v1:Namespace", "metadata.name", True),
        ("kubernetes:core/v1:Namespace", "metadata.labels.a", False),
    ],
)
def test_names_replace_and_values_upgrade(token: str, path: str, replaced: bool) -> None:
    assert Kubernetes().replaces(token, path) is replaced
