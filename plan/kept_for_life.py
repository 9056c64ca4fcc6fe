"""What a stack and its machines keep for life: a stack file with another value is refused before anything is touched.

The digest knows it from two stack files, `pulumi preview` and `up` from what the state remembers.
"""

from collections.abc import Iterable, Mapping

from plan.machine.node import NodePlan
from plan.problems import Problem, Problems
from plan.stack import StackPlan

LOCATION, _SUBNET, _ZONE = "azure-native:location", "mig-k8s:network.subnetCidr", "mig-k8s:vm.zone"
_ROLE = "mig-k8s:nodePools.role"
_WAYS = {
    LOCATION: "for machines there make another stack (`make new-stack`); `pulumi destroy` ends this one",
    _SUBNET: "`pulumi destroy`, then `pulumi up`, makes the stack anew and loses everything in it",
    _ZONE: "`pulumi destroy`, then `pulumi up`, makes the stack anew and loses everything in it",
    _ROLE: "take its pool out of the stack file for one `pulumi up`, then put it in again",
}
_REBUILD = "give each of its machines another text under `rebuild` too: it is then made anew, and what is on it is lost"
_LONG = 60


def kept_by_stack(stack: StackPlan) -> dict[str, str]:
    """By key of the stack file, what only another stack can change. Azure moves nothing to another region, and changes
    neither the zone of an address nor the prefix of a subnet in use; a rebuilt machine keeps its address."""
    zone = stack.nodes[0].vm.zone
    return {LOCATION: stack.location, _SUBNET: stack.network.subnet_cidr, _ZONE: zone or "none"}


def kept_by_machine(stack: StackPlan, node: NodePlan) -> dict[str, str]:
    """By key of the stack file, what a machine keeps until it is made anew: what Azure does not change while it runs,
    and what the cluster was founded with."""
    vm = node.vm
    kept = {
        _ROLE: node.role,
        "mig-k8s:rke2.cis": str(node.rke2.cis).lower(),
        "mig-k8s:vm.adminUsername": vm.admin_username,
        "mig-k8s:vm.image": vm.image.name,
        "mig-k8s:vm.osDisk.sizeGib": str(vm.os_disk_gib),
        "mig-k8s:vm.osDisk.type": vm.os_disk_type,
        "mig-k8s:vm.securityType": vm.security_type,
        "mig-k8s:vm.spot": f"{vm.spot.eviction_policy}, at most {vm.spot.max_price:g}" if vm.spot else "none",
    }
    if node.role == "server":
        kept |= {
            "mig-k8s:network.podCidr": node.network.pod_cidr,
            "mig-k8s:network.serviceCidr": node.network.service_cidr,
            "mig-k8s:rke2.cni": node.rke2.cni,
            # Helm does not let a release take over what one in another namespace has made.
            "mig-k8s:gpuOperator.namespace": stack.gpu_operator.namespace,
        }
    return kept


def changed(was: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """The keys whose values differ. A key that only one of the two has is left out: a record may be older than it."""
    return [key for key in wanted if was.get(key, wanted[key]) != wanted[key]]


def way_out(keys: Iterable[str]) -> str:
    """What can be done about a change of these keys that is refused."""
    return "Set it back; or " + "; or ".join(dict.fromkeys(_WAYS.get(key, _REBUILD) for key in keys)) + "."


def refusal(who: str, was: Mapping[str, str], wanted: Mapping[str, str]) -> Problems | None:
    """The report on every kept value that is to change; None if there is none. `was` is what is remembered."""
    problems = [
        Problem(
            path=key,
            value=_shown(wanted[key]),
            what=f"{who} was made with {_shown(was[key])} and keeps that as long as it lives",
            remedy=way_out([key]),
        )
        for key in changed(was, wanted)
    ]
    return Problems(problems) if problems else None


def _shown(value: str) -> str:
    return value if len(value) <= _LONG else f"{value[:24]}…{value[-24:]}"
