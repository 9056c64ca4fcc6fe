"""Checks that need more than one value of a stack. Each rule names the sections that it reads.

A rule is left out while one of its sections is broken in itself: its result could be wrong, and the author has to
correct that section anyway.
"""

from collections.abc import Callable, Iterator

from plan.problems import Problem
from plan.rules import layouts, machines, networks, operator, rke2
from plan.stack_file.settings import Settings

Rule = Callable[[Settings], Iterator[Problem]]

_EACH_POOL = "nodePools[]"
"""Reads every pool by itself: runs with some pools broken, and what it says of those is dropped."""

RULES: tuple[tuple[Rule, frozenset[str]], ...] = (
    (layouts.layouts_that_do_not_fit, frozenset({_EACH_POOL})),
    (layouts.layouts_against_strategy, frozenset({_EACH_POOL, "mig"})),
    (machines.cluster_without_quorum, frozenset({"nodePools"})),
    (machines.machine_names_that_collide, frozenset({"nodePools"})),
    (machines.first_machines_of_another_name, frozenset({"nodePools"})),
    (machines.rebuild_of_an_older_form, frozenset({"vm", "nodePools"})),
    (machines.rebuilt_machines_that_are_not_there, frozenset({"rebuild", "nodePools"})),
    (machines.image_without_driver, frozenset({"vm", "driver"})),
    (machines.secure_boot_that_cannot_be, frozenset({_EACH_POOL, "vm", "driver"})),
    (machines.zone_that_is_not_there, frozenset({"vm", "location"})),
    (networks.open_networks, frozenset({"adminCidrs"})),
    (networks.overlapping_networks, frozenset({"network"})),
    (networks.networks_too_small, frozenset({"network", "nodePools"})),
    (rke2.managed_rke2_keys, frozenset({"rke2"})),
    (rke2.rke2_config_that_ends_the_cluster, frozenset({"rke2"})),
    (rke2.artifacts_that_nothing_checks, frozenset({"rke2", "sources"})),
    (operator.managed_helm_values, frozenset({"gpuOperator"})),
    (operator.helm_values_decided_by_layouts, frozenset({"gpuOperator", "mig", "nodePools"})),
    (operator.unknown_helm_values, frozenset({"gpuOperator"})),
    (operator.devices_by_environment, frozenset({"gpuOperator", "toolkit"})),
    (operator.sharing_that_cannot_be, frozenset({"gpuOperator"})),
)


def broken_rules(settings: Settings, unsound: frozenset[str] = frozenset()) -> Iterator[Problem]:
    """Problems of a stack whose sections `unsound` are broken in themselves, and replaced by sound ones."""
    bad_pools = {section for section in unsound if section.startswith("nodePools[")}
    broken = unsound | ({"nodePools"} if bad_pools else set()) | ({_EACH_POOL} if "nodePools" in unsound else set())
    for rule, reads in RULES:
        if not reads & broken:
            yield from (
                problem
                for problem in rule(settings)
                if not problem.path.removeprefix("mig-k8s:").startswith(tuple(bad_pools))
            )
