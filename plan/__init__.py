"""Pure decisions: from the text of a stack file to everything that will be made. It never imports pulumi. Its only I/O
is to read the files of machine/ and cloud-init/, which go to the machines as they are."""

from plan.cluster.gpu_operator import GpuOperatorPlan
from plan.cluster.node_removal import NodeRemovalPlan
from plan.kept_for_life import LOCATION, kept_by_machine, kept_by_stack, refusal
from plan.machine.addresses import Addresses
from plan.machine.configuration import configuration
from plan.machine.delivery import delivery, delivery_command
from plan.machine.host_keys import HostKey, HostKeys
from plan.machine.node import NodePlan, VmPlan
from plan.machine.release import Release, first_release, release
from plan.machine.user_data import user_data
from plan.problems import Problem, Problems, warning_report
from plan.reading import read_settings
from plan.stack import NetworkPlan, StackPlan, VerificationPlan, plan_stack
from plan.stack_file.settings import Settings
from plan.stack_file.values.ssh_keys import is_of_another_pair, public_half

__all__ = [
    "LOCATION",
    "Addresses",
    "GpuOperatorPlan",
    "HostKey",
    "HostKeys",
    "NetworkPlan",
    "NodePlan",
    "NodeRemovalPlan",
    "Problem",
    "Problems",
    "Release",
    "Settings",
    "StackPlan",
    "VerificationPlan",
    "VmPlan",
    "configuration",
    "delivery",
    "delivery_command",
    "first_release",
    "is_of_another_pair",
    "kept_by_machine",
    "kept_by_stack",
    "plan_stack",
    "public_half",
    "read_settings",
    "refusal",
    "release",
    "user_data",
    "warning_report",
]
