"""What the author of a stack should know though nothing is refused for it, such as a release the tables do not have.

Each warning says of which day what it knows is, so that its reader can tell whether it still holds.
"""

from collections.abc import Callable, Iterator

from plan.problems import Problem
from plan.rules import operator, rke2
from plan.stack_file.settings import Settings
from plan.stack_file.values import releases


def releases_to_know_about(settings: Settings) -> Iterator[Problem]:
    """Releases that are newer than the tables, or whose support is about to end or has ended."""
    driver = settings.driver
    found = (
        ("driver.branch", str(driver.branch), releases.driver_warning(driver.branch), driver.source == "ubuntu"),
        ("toolkit.version", settings.toolkit.version, releases.toolkit_warning(settings.toolkit.version), True),
        ("rke2.version", settings.rke2.version, releases.rke2_warning(settings.rke2.version), True),
        (
            "gpuOperator.version",
            settings.gpu_operator.version,
            releases.operator_warning(settings.gpu_operator.version),
            True,
        ),
    )
    for key, value, what, applies in found:
        if what and applies:
            yield Problem(path=f"mig-k8s:{key}", value=value, what=what, remedy="Compare with the release notes.")


WARNINGS: tuple[Callable[[Settings], Iterator[Problem]], ...] = (
    releases_to_know_about,
    rke2.release_that_only_its_own_list_checks,
    rke2.install_script_of_older_versions,
    rke2.unknown_rke2_keys,
    operator.unchecked_helm_values,
    operator.pods_of_the_verification,
    operator.gpus_that_cdi_does_not_know,
)


def warnings(settings: Settings) -> tuple[Problem, ...]:
    """All warnings of a stack that has no problems."""
    return tuple(problem for rule in WARNINGS for problem in rule(settings))
