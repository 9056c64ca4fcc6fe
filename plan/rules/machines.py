"""Machines together: quorum, names, image against driver, Secure Boot."""

from collections import Counter
from collections.abc import Iterator

from plan.problems import Problem, Refusal, nearest_word
from plan.stack_file.settings import Driver, Settings
from plan.stack_file.shapes import shown
from plan.stack_file.values import images, locations, releases


def cluster_without_quorum(settings: Settings) -> Iterator[Problem]:
    """A cluster that cannot form: no server first, or a number of servers without a majority."""
    pools = settings.node_pools
    if pools[0].role != "server":
        yield Refusal(
            "the first pool forms the cluster, so it must be a server pool",
            allowed="server",
            remedy="Move a server pool up.",
        ).at("mig-k8s:nodePools[0].role", pools[0].role)
    servers = sum(pool.count for pool in pools if pool.role == "server")
    if servers not in {1, 3, 5} and pools[0].role == "server":
        what = (
            "etcd needs a majority: an even number survives no more losses than with one server less"
            if servers % 2 == 0
            else ""
        )
        yield Refusal(
            f"{servers} servers in all" + (f"; {what}" if what else "; more than five only slow etcd down"),
            allowed="1, 3 or 5 servers in all; agents as many as wanted",
            remedy=f"Make it {1 if servers < 3 else min(5, servers - 1)}, or make the others agents.",
        ).at("mig-k8s:nodePools", ", ".join(f"{pool.name}: {pool.count} {pool.role}" for pool in pools))


def machine_names_that_collide(settings: Settings) -> Iterator[Problem]:
    """Machines of the same name once they are numbered, and names too long with their number."""
    owners = Counter(name for pool in settings.node_pools for name in pool.machine_names)
    for index, pool in enumerate(settings.node_pools):
        path = f"mig-k8s:nodePools[{index}].name"
        twice = next((name for name in pool.machine_names if owners[name] > 1), None)
        if twice is not None:
            yield Refusal(
                f"two machines would be called {twice}",
                remedy="Give each pool a name of its own (count > 1 adds -1, -2, …).",
            ).at(path, pool.name)
        if len(pool.machine_names[-1]) > 63:
            yield Refusal(
                f"{pool.machine_names[-1]} is longer than 63 characters", remedy="Shorten it; count > 1 adds -1, -2, …"
            ).at(path, pool.name)


def first_machines_of_another_name(settings: Settings) -> Iterator[Problem]:
    """firstMachine that names no machine of the pool."""
    for index, pool in enumerate(settings.node_pools):
        if pool.first_machine not in (None, *pool.names_of_the_first):
            yield Refusal(
                "not a name that the first machine of this pool ever had",
                allowed=f"{' or '.join(pool.names_of_the_first)}",
                remedy="Leave it out, unless the machine was made under the second name: a machine keeps its name.",
            ).at(f"mig-k8s:nodePools[{index}].firstMachine", pool.first_machine or "")


def rebuild_of_an_older_form(settings: Settings) -> Iterator[Problem]:
    """vm.rebuild, which made all machines anew at once."""
    if text := settings.vm.rebuild:
        names = [name for pool in settings.node_pools for name in pool.machine_names]
        written = ", ".join(f"{name}: {shown(text)}" for name in names)
        yield Refusal(
            "vm.rebuild was replaced by mig-k8s:rebuild, which names each machine to be rebuilt",
            remedy=f"Leave it out, and keep each machine as it is: mig-k8s:rebuild: {{{written}}}.",
        ).at("mig-k8s:vm.rebuild", text)


def rebuilt_machines_that_are_not_there(settings: Settings) -> Iterator[Problem]:
    """A machine under `rebuild` that no pool has."""
    names = [name for pool in settings.node_pools for name in pool.machine_names]
    for name, text in settings.rebuild.items():
        if name not in names:
            near = nearest_word(name, names)
            yield Refusal(
                "no machine of this stack has this name", remedy=f"Did you mean {near}?" if near else "Leave it out."
            ).at(f"mig-k8s:rebuild.{name}", text)


def image_without_driver(settings: Settings) -> Iterator[Problem]:
    """An image that brings no driver where it should, or one where ours would be the second; a branch Ubuntu lacks."""
    image = images.image(settings.vm.image)
    source = settings.driver.source
    if source == "image" and image.has_driver is False:
        yield Refusal(
            f"driver.source is image, and {settings.vm.image} has no driver", remedy="Write driver: {source: ubuntu}."
        ).at("mig-k8s:driver.source", source)
    if source == "ubuntu" and image.has_driver:
        yield Refusal(
            f"{settings.vm.image} brings its own driver; a second one breaks both",
            remedy="Write driver: {source: image}.",
        ).at("mig-k8s:driver.source", source)
    branch = settings.driver.branch
    missing = releases.driver_branch(branch, image.ubuntu) if image.ubuntu else None
    if source == "ubuntu" and missing is not None:
        yield missing.at("mig-k8s:driver.branch", str(branch))
    if source == "image" and branch != Driver().branch:
        yield Refusal(
            "chooses among Ubuntu's packages, and driver.source image installs none of them", remedy="Leave it out."
        ).at("mig-k8s:driver.branch", str(branch))


def zone_that_is_not_there(settings: Settings) -> Iterator[Problem]:
    """A zone in a location that is known to have none."""
    zone = settings.vm.zone
    if zone is not None and locations.is_known_without_zones(settings.location):
        yield Refusal(
            f"{settings.location} has no availability zones (Azure's list of regions, September 2025)",
            remedy="Leave it out, or choose a location with zones.",
        ).at("mig-k8s:vm.zone", f'"{zone}"')


def secure_boot_that_cannot_be(settings: Settings) -> Iterator[Problem]:
    """Trusted Launch where the size has none, or where Secure Boot would refuse an unsigned driver."""
    if settings.vm.security_type != "TrustedLaunch":
        return
    path = "mig-k8s:vm.securityType"
    for pool in settings.node_pools:
        if not pool.size.trusted_launch:
            yield Refusal(
                f"Azure offers no Trusted Launch on {pool.vm_size}", allowed="Standard", remedy="Write Standard."
            ).at(path, "TrustedLaunch")
    if settings.driver.source == "image" and images.image(settings.vm.image).has_driver:
        yield Refusal(
            "Secure Boot loads signed modules only, and the image's driver is not signed by Canonical",
            allowed="Standard with driver.source image",
            remedy="Write Standard, or driver: {source: ubuntu} with a Canonical image.",
        ).at(path, "TrustedLaunch")
