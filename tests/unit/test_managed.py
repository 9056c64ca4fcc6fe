"""What the program decides is refused in a stack file: every managed Helm value and every managed key of RKE2."""

from collections.abc import Callable

import pytest

from plan.cluster.managed_values import MANAGED_VALUES
from plan.machine.rke2 import MANAGED_KEYS

Report = Callable[..., str]

_VALUES = {
    "driver.version": "the host brings the driver (driver.*)",
    "toolkit.version": "the host brings the container toolkit (toolkit.*)",
    "mig.strategy": "mig.strategy decides it",
    "migManager.enabled": "mig.owner decides it; MIG Manager removes instances made by hand",
    "migManager.config": "the layouts of nodePools decide it",
    "clusterPolicy.deployCR": "without the ClusterPolicy nothing is deployed",
    "gpuCluster.deployCR": "it excludes the ClusterPolicy, and with it MIG",
}
_INSTEAD = {
    "node-name": "Use name of the pool.",
    "cni": "Use rke2.cni.",
    "ingress-controller": "Use rke2.ingress.",
    "tls-san": "Use rke2.tlsSans.",
    "cluster-cidr": "Use network.podCidr.",
    "service-cidr": "Use network.serviceCidr.",
    "node-label": "Use nodeLabels of the pool.",
    "node-taint": "Use nodeTaints of the pool.",
    "token": "Set it as a secret: pulumi config set --secret mig-k8s:rke2Token < FILE",
    "profile": "Use rke2.cis.",
    **dict.fromkeys(
        (
            "node-ip",
            "write-kubeconfig-mode",
            "write-kubeconfig",
            "server",
            "token-file",
            "agent-token",
            "agent-token-file",
            "data-dir",
            "with-node-id",
            "disable-agent",
            "https-listen-port",
        ),
        "Leave it out.",
    ),
}


def test_these_tests_know_all_that_is_managed() -> None:
    assert set(_INSTEAD) == set(MANAGED_KEYS)
    managed = {".".join(value.path) for value in MANAGED_VALUES if value.applies is None}
    assert len(managed) == len(_VALUES)
    assert all(any(value == path or value.startswith(f"{path}.") for path in managed) for value in _VALUES)


@pytest.mark.parametrize("value", _VALUES)
def test_a_managed_helm_value_is_refused_with_its_reason(report: Report, value: str) -> None:
    section, key = value.split(".")
    said = " ".join(report(gpuOperator={"values": {section: {key: "x"}}}).split())
    assert f"this program decides it: {_VALUES[value]} do: Leave it out." in said


@pytest.mark.parametrize("key", _INSTEAD)
def test_a_managed_key_of_rke2_is_refused_with_what_to_write_instead(report: Report, key: str) -> None:
    said = " ".join(report(rke2={"config": {key: "x"}}).split())
    assert f"this program decides this key do: {_INSTEAD[key]}" in said
