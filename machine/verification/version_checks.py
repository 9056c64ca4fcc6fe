"""Which Kubernetes runs: every kubelet's version, and the API server's, held to the stack's."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from machine.documents.verification_report import Check
from machine.kubernetes.kubectl import Kubectl

_REMEDY = (
    "An upgrade there did not come to its end: `sudo mig-k8s status` on it tells why, `pulumi up` goes on with it."
    " Where `rke2 --version` there says {wanted}, `sudo systemctl restart` of its rke2-server or rke2-agent is enough."
)


def version_checks(kubectl: Kubectl, wanted: str, names: Iterable[str], nodes: Mapping[str, Any]) -> list[Check]:
    """The version of the named nodes that are there, and of the API server that kubectl asks. None without a wanted
    version, as in the expectations of an older release. Raises RefusedError and AwayError."""
    if not wanted:
        return []
    seen = {
        name: str(nodes[name]["status"].get("nodeInfo", {}).get("kubeletVersion")) for name in names if name in nodes
    }
    remedy = _REMEDY.format(wanted=wanted)
    checks = [Check.of("kubelet version", name, wanted, version, remedy) for name, version in seen.items()]
    served = str(json.loads(kubectl.read("get", "--raw", "/version"))["gitVersion"])
    return [*checks, Check.of("API server version", "", wanted, served, remedy)]
