"""What a machine is told of a layout that MIG Manager makes there."""

from machine.documents.mig_manager_layout import MigManagerLayout
from plan.cluster.gpu_operator import GpuOperatorPlan
from plan.cluster.mig_manager import layout_name
from plan.machine.node import NodePlan, layout_document


def mig_manager_layout(node: NodePlan, operator: GpuOperatorPlan) -> MigManagerLayout:
    """What a machine is told when MIG Manager is to make the layout.

    It is an error to ask for it where MIG Manager does not make the instances.
    """
    if operator.mig_config_map is None:
        raise ValueError("the GPU Operator's release has no MIG Manager")
    return MigManagerLayout(
        config=layout_name(node),
        config_map=operator.mig_config_map,
        namespace=operator.namespace,
        seconds=operator.timeout_seconds,
        node=node.name,
        layout=layout_document(node),
    )
