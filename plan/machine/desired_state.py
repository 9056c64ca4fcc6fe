"""The desired state of a machine, out of its plan."""

from machine.documents.desired_state import Apt, DesiredState, Driver, Mig, Node, Rke2, Toolkit
from plan.machine.node import NodePlan
from plan.machine.rke2 import has_token


def desired_state(node: NodePlan) -> DesiredState:
    """What the machine shall be. Nothing in it depends on the cloud or is secret."""
    settings = node.settings
    driver = Driver(settings.driver.source, settings.driver.branch, settings.driver.open_kernel_modules)
    toolkit = Toolkit(settings.toolkit.version, settings.sources.toolkit_apt)
    has_gpu = node.gpu_layout is not None
    # MIG mode is the machine's also where MIG Manager makes the instances: an A100 needs a reboot for it, which here
    # comes before Kubernetes and not in the middle of the verification. MIG Manager then finds the mode it wants.
    has_mode = node.layout is not None or any(node.mode)
    return DesiredState(
        node=Node(node.name),
        apt=Apt(settings.sources.ubuntu_apt),
        driver=driver if has_gpu else None,
        toolkit=toolkit if has_gpu else None,
        mig=Mig(node.mode, settings.mig.on_change) if has_mode else None,
        rke2=Rke2(
            version=settings.rke2.version,
            install=settings.sources.rke2_install,
            artifacts=settings.sources.rke2_artifacts,
            sha256=settings.rke2.sha256,
            role=node.role,
            token=has_token(node),
            cis=settings.rke2.cis,
            gpu=has_gpu,
        ),
    )
