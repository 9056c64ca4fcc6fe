"""Pure decisions: from the text of a stack file to everything that will be made. Never imports pulumi, never does I/O
but to read the static files of cloud-init/."""

from plan.cluster.gpu_operator import GpuOperatorPlan
from plan.machine.files import MachineFile, bundle, machine_files
from plan.machine.node import NodePlan, VmPlan, layout_json
from plan.machine.user_data import user_data
from plan.problems import Problem, Problems, warning_report
from plan.reading import read_settings
from plan.stack import NetworkPlan, StackPlan, VerificationPlan, plan_stack
from plan.stack_file.settings import Settings
from plan.stack_file.values.ssh_keys import public_half

__all__ = [
    "GpuOperatorPlan",
    "MachineFile",
    "NetworkPlan",
    "NodePlan",
    "Problem",
    "Problems",
    "Settings",
    "StackPlan",
    "VerificationPlan",
    "VmPlan",
    "bundle",
    "layout_json",
    "machine_files",
    "plan_stack",
    "public_half",
    "read_settings",
    "user_data",
    "warning_report",
]
