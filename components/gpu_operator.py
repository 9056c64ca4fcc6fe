"""NVIDIA's GPU Operator in the cluster: the Helm release and its namespace."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.identity import digest
from components.machine_command import Access, first_child
from components.power import idle, left_while
from plan import GpuOperatorPlan
from plan.secret_values import unmarked

_PRIVILEGED = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}


@dataclass(frozen=True, kw_only=True)
class GpuOperatorArgs:
    """Inputs of `GpuOperator`."""

    plan: GpuOperatorPlan
    cluster: Access
    """The server by which the cluster is reached."""


class GpuOperator(pulumi.ComponentResource):
    """The operator's release. It depends on the MIG instances: the operator's pods are the first to hold a GPU, and a
    held GPU cannot be divided. Both resources end with the machine and are never uninstalled."""

    release_digest: pulumi.Output[str]
    """SHA-256 of what is released: chart, version and values."""

    def __init__(self, name: str, args: GpuOperatorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:GpuOperator", name, None, opts)
        is_idle = idle([args.cluster.away])
        child = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        plan = args.plan
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata={"name": plan.namespace, "labels": _PRIVILEGED},
            opts=left_while(is_idle, child),
        )
        kubernetes.helm.v3.Release(
            f"{name}-release",
            name="gpu-operator",
            namespace=namespace.metadata["name"],
            chart=plan.chart,
            version=plan.version,
            repository_opts=kubernetes.helm.v3.RepositoryOptsArgs(repo=plan.repository) if plan.repository else None,
            values=unmarked(plan.values, pulumi.Output.secret),
            timeout=plan.timeout_seconds,
            # A rollback in the middle of a slow start makes it worse; the next `up` upgrades what is there.
            atomic=False,
            cleanup_on_fail=False,
            skip_await=False,
            opts=left_while(is_idle, pulumi.ResourceOptions.merge(child, first_child(self, opts))),
        )
        released = [plan.chart, plan.repository, plan.version, unmarked(plan.values)]
        self.release_digest = digest(json.dumps(released, sort_keys=True))
        self.register_outputs({"release_digest": self.release_digest})
