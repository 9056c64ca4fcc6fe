"""The desired state of a machine, out of its plan."""

from machine.documents.desired_state import Apt, DesiredState, Driver, FabricManager, Mig, Node, Pods, Rke2, Toolkit
from plan.gpu.catalogue import vm_sizes
from plan.machine.node import NodePlan


def desired_state(node: NodePlan) -> DesiredState:
    """What the machine shall be. Nothing in it depends on the cloud or is secret."""
    driver, toolkit, rke2, sources = node.driver, node.toolkit, node.rke2, node.sources
    return DesiredState(
        node=Node(node.name),
        apt=Apt(sources.ubuntu_apt),
        driver=None
        if driver is None
        else Driver(driver.source, driver.branch, driver.open_kernel_modules, driver.update),
        toolkit=None
        if toolkit is None
        else Toolkit(toolkit.version, sources.toolkit_apt, toolkit.device_list_from_environment),
        mig=_mig(node),
        rke2=Rke2(
            version=rke2.version,
            artifacts=sources.rke2_artifacts,
            sha256=rke2.checksum,
            role=node.role,
            cis=rke2.cis,
            gpu=node.layout is not None,
            pods_reach_metadata=node.network.pods_reach_metadata,
            image_archives=sources.image_archives,
        ),
        fabric_manager=None
        if driver is None or not runs_fabric_manager(node)
        else FabricManager(driver.source, driver.branch),
        pods=Pods(node.on_change, node.own_namespaces) if node.driver else Pods(),  # no other machine reboots for one
    )


def runs_fabric_manager(node: NodePlan) -> bool:
    """Whether we install a driver and NVSwitch joins the GPUs; on other sizes the service fails to start."""
    return node.driver is not None and vm_sizes()[node.vm.size].nvswitch


def _mig(node: NodePlan) -> Mig | None:
    """The modes of the GPUs; None where the host has nothing to do with them.

    MIG mode is the machine's also where MIG Manager makes the instances: an A100 needs a reboot for it, which here
    comes before Kubernetes and not in the middle of the verification. MIG Manager then finds the mode it wants.
    """
    if node.layout is None or (node.mig_owner == "operator" and not any(node.layout.modes)):
        return None
    return Mig(node.layout.modes, node.on_change)
