"""What a change does, in the words a reviewer reads."""

from collections.abc import Callable

import pytest

from plan import Settings, StackPlan, plan_stack
from plan.report.digest import digest

Planned = Callable[..., StackPlan]
_MIXED = {"strategy": "mixed"}
_TUTORIAL = {"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 1}


def test_a_changed_layout_says_what_is_kept_removed_and_made(planned: Planned) -> None:
    """From seven 1g to 3g and four 1g: four stay with their pods."""
    old = planned(nodePools=[{"migDevices": {"1g.10gb": 7}}], mig=_MIXED)
    new = planned(nodePools=[{"migDevices": {"3g.40gb": 1, "1g.10gb": 4}}], mig=_MIXED)
    assert digest(old, new) == (
        "**Cost:** pods may have to go: mlops-k8s-master.\n\n"
        "**Settings**\n\n"
        "- `nodePools[0].migDevices`: {1g.10gb: 7} → {1g.10gb: 4, 3g.40gb: 1}\n\n"
        "**mlops-k8s-master** stays, without a reboot.\n"
        "- GPU 0: keeps 4 × 1g.10gb; removes 3 × 1g.10gb; makes 1 × 3g.40gb\n"
        "- Pods on the 3 removed devices: the change stops before it touches them (`mig.onChange: refuse`).\n"
        "- Counted from the old file's places. The machine keeps first what pods hold; "
        "`sudo mig-k8s apply --dry-run` there says it exactly.\n"
    ).replace("{1g.10gb: 4, 3g.40gb: 1}", "{3g.40gb: 1, 1g.10gb: 4}")


def test_what_can_stay_at_another_place_than_the_new_files_own_is_kept(planned: Planned) -> None:
    """On an empty GPU both would lie elsewhere: the 3g at 0, so that the 1g.20gb comes to 6 and a 2g fits beside it."""
    old = planned(nodePools=[{"migDevices": {"3g.40gb": 1}}], mig=_MIXED)
    new = planned(nodePools=[{"migDevices": {"3g.40gb": 1, "1g.20gb": 1}}], mig=_MIXED)
    assert digest(old, new) == (
        "**Cost:** nothing.\n\n"
        "**Settings**\n\n"
        "- `nodePools[0].migDevices`: {3g.40gb: 1} → {3g.40gb: 1, 1g.20gb: 1}\n\n"
        "**mlops-k8s-master** stays, without a reboot.\n"
        "- GPU 0: keeps 1 × 3g.40gb; makes 1 × 1g.20gb\n"
    )


def test_draining_says_so(planned: Planned) -> None:
    """mig.onChange: drain."""
    old = planned(mig=_MIXED)
    new = planned(nodePools=[{"migDevices": {"1g.10gb": 6}}], mig={**_MIXED, "onChange": "drain"})
    assert "- Pods on the 1 removed devices: they are evicted first (`mig.onChange: drain`).\n" in digest(old, new)


_MANAGER = {**_MIXED, "owner": "operator"}


def test_mig_manager_makes_a_changed_gpu_anew_and_leaves_the_others(planned: Planned) -> None:
    """mig-parted keeps no instance of a GPU it changes."""

    def stack(first: dict[str, int]) -> StackPlan:
        gpus = [{"devices": [0], "migDevices": first}, {"devices": [1], "migDevices": {"1g.10gb": 7}}]
        return planned(nodePools=[{"vmSize": "Standard_NC48ads_A100_v4", "gpus": gpus}], mig=_MANAGER)

    text = digest(stack({"1g.10gb": 7}), stack({"3g.40gb": 1, "1g.10gb": 4}))
    assert text.endswith(
        "**mlops-k8s-master** stays, without a reboot.\n"
        "- GPU 0: removes 7 × 1g.10gb; makes 1 × 3g.40gb, 4 × 1g.10gb\n"
        "- GPU 1: keeps 7 × 1g.10gb\n"
        "- Pods on the 7 removed devices: the change stops before it touches them (`mig.onChange: refuse`).\n"
    )


def test_mig_manager_takes_over_what_is_right(planned: Planned) -> None:
    text = digest(planned(mig=_MIXED), planned(mig=_MANAGER))
    assert text == (
        "**Cost:** RKE2 restarts, pods go on: mlops-k8s-master.\n\n"
        "**Settings**\n\n"
        "- `mig.owner`: host → operator\n\n"
        "**mlops-k8s-master** stays, without a reboot. RKE2 restarts once; its pods go on.\n"
        "- GPU 0: keeps 7 × 1g.10gb\n"
        "- MIG Manager takes over the instances: a GPU that has the right ones is not touched.\n"
    )


def test_the_host_keeps_what_mig_manager_made_and_is_not_to_change_the_mode_at_once(planned: Planned) -> None:
    """MIG Manager lives until the release says otherwise, which comes after the machine's own change."""
    taken = digest(planned(mig=_MANAGER), planned(mig=_MIXED))
    assert taken.endswith(
        "- The host takes over the instances: as many as can stay do, wherever MIG Manager has put them.\n"
    )
    both = digest(planned(mig=_MANAGER), planned(nodePools=[{}], mig={"strategy": "none"}))
    assert "- MIG Manager may set the old MIG mode again meanwhile: change `mig.owner` first, " in both


def test_turning_mig_on_reboots_an_a100_once(planned: Planned) -> None:
    """And its pods restart."""
    old = planned(nodePools=[{}], mig={"strategy": "none"})
    new = planned(nodePools=[{"migDevices": _TUTORIAL}], mig=_MIXED)
    text = digest(old, new)
    assert "**mlops-k8s-master** stays, with one reboot: this GPU changes its MIG mode on a reboot." in text
    assert "- GPU 0: MIG on; makes 1 × 3g.40gb, 1 × 2g.20gb, 1 × 1g.10gb\n" in text
    assert "Pods ask for other resources from now on: strategy none → mixed.\n" in text


def test_turning_mig_on_reboots_no_h100(planned: Planned) -> None:
    """Hopper changes at once."""
    size = {"vmSize": "Standard_NC40ads_H100_v5"}
    old = planned(nodePools=[size], mig=_MIXED)
    new = planned(nodePools=[{**size, "migDevices": {"7g.94gb": 1}}], mig=_MIXED)
    text = digest(old, new)
    assert "stays, without a reboot: this GPU changes its MIG mode at once, when no pod is on it.\n" in text
    assert text.startswith("**Cost:** pods may have to go: mlops-k8s-master.\n")


def test_a_rebuild_replaces_the_machine(planned: Planned) -> None:
    """Nothing on it is kept, so every instance is made again."""
    text = digest(planned(clusterMayBeLost=True), planned(clusterMayBeLost=True, rebuild={_NAME: "2026-11"}))
    assert "- `rebuild.mlops-k8s-master`: (not set) → 2026-11\n" in text
    assert (
        "**The cluster is lost**: **mlops-k8s-master**, its only server, is made anew and founds an empty one." in text
    )
    assert "**mlops-k8s-master** is replaced: a new machine, everything on the old one is lost.\n" in text
    assert "- GPU 0: makes 7 × 1g.10gb\n" in text


@pytest.mark.parametrize(
    ("vm", "key"),
    [
        ({"adminUsername": "ops"}, "vm.adminUsername"),
        ({"securityType": "Standard"}, "vm.securityType"),
        ({"spot": {"evictionPolicy": "Delete"}}, "vm.spot"),
        ({"osDisk": {"sizeGib": 512}}, "vm.osDisk.sizeGib"),
    ],
)
def test_what_azure_refuses_on_a_living_machine_needs_a_rebuild(
    planned: Planned, vm: dict[str, object], key: str
) -> None:
    """Said before Azure says 409."""
    assert (
        f"**mlops-k8s-master** is refused: it keeps `{key}` for life. Set it back; or give each of its machines "
        "another text under `rebuild` too: it is then made anew, and what is on it is lost.\n"
    ) in digest(planned(), planned(vm=vm))
    assert "is replaced" in digest(planned(), planned(vm=vm, rebuild={_NAME: "x"}))


@pytest.mark.parametrize(
    ("change", "key"),
    [({"vm": {"zone": "1"}}, "vm.zone"), ({"network": {"subnetCidr": "10.60.1.0/24"}}, "network.subnetCidr")],
)
def test_what_a_rebuilt_machine_keeps_too_needs_another_stack(
    planned: Planned, change: dict[str, dict[str, object]], key: str
) -> None:
    """Its address stays in its zone, its interface in its subnet."""
    rebuilt = {**change, "rebuild": {_NAME: "x"}}
    for edit in (change, rebuilt):
        assert (
            f"**mlops-k8s-master** is refused: it keeps `{key}` for life. Set it back; or `pulumi destroy`, then "
            "`pulumi up`, makes the stack anew and loses everything in it.\n"
        ) in digest(planned(), planned(**edit))


def test_a_stack_does_not_move(settings: Callable[..., Settings]) -> None:
    """Its machines would be deleted before Azure says whether there is quota elsewhere."""
    old = settings()
    text = digest(plan_stack(old), plan_stack(old.model_copy(update={"location": "swedencentral"})))
    assert text == (
        "**Cost:** `pulumi up` refuses it: mlops-k8s-master.\n\n"
        "**Settings**\n\n- `location`: westeurope → swedencentral\n\n"
        "**mlops-k8s-master** is refused: it keeps `azure-native:location` for life. Set it back; or for machines "
        "there make another stack (`make new-stack`); `pulumi destroy` ends this one.\n"
    )


def test_a_pool_keeps_its_role(planned: Planned) -> None:
    agent = [{"name": "a"}, {"name": "b", "role": "agent", "count": 2}]
    text = digest(planned(nodePools=agent), planned(nodePools=[agent[0], {**agent[1], "role": "server"}]))
    assert text.startswith("**Cost:** `pulumi up` refuses it: b, b-1.\n")
    assert (
        "**b-1** is refused: it keeps `nodePools.role` for life. Set it back; or take its pool out of the stack file "
        "for one `pulumi up`, then put it in again.\n\nThe other machine is not touched.\n"
    ) in text


def test_a_resize_stops_the_machine(planned: Planned) -> None:
    """Its instances do not survive."""
    old = planned(nodePools=[{"migDevices": {"7g.80gb": 1}}])
    new = planned(nodePools=[{"vmSize": "Standard_NC48ads_A100_v4", "migDevices": {"7g.80gb": 1}}])
    text = digest(old, new)
    assert "is resized (Standard_NC24ads_A100_v4 → Standard_NC48ads_A100_v4)" in text
    assert "- GPU 0: makes 1 × 7g.80gb\n- GPU 1: makes 1 × 7g.80gb\n" in text


def test_machines_come_and_go(planned: Planned) -> None:
    """By name."""
    old = planned(nodePools=[{"name": "a"}, {"name": "b", "role": "agent"}])
    new = planned(nodePools=[{"name": "a"}, {"name": "c", "role": "agent"}])
    text = digest(old, new)
    assert "**c** is new: Standard_NC24ads_A100_v4, agent." in text
    assert (
        "**b** is removed, with everything on it; where pods of users run on it, `pulumi up` stops before that "
        "(`mig.onChange: refuse`).\n"
    ) in text
    both: list[dict[str, object]] = [{"name": "a"}, {"name": "b", "role": "agent"}]
    drains = {"strategy": "single", "onChange": "drain"}
    drained = digest(planned(nodePools=both, mig=drains), planned(nodePools=both[:1], mig=drains))
    assert "**b** is removed, with everything on it; its pods are evicted first (`mig.onChange: drain`).\n" in drained
    assert text.endswith("\nThe other machine is not touched.\n")
    assert "**a**" not in text


_NAME = "mlops-k8s-master"
_POOLS: list[dict[str, object]] = [
    {"name": "control", "vmSize": "Standard_D4s_v5"},
    {"name": "train", "role": "agent", "count": 2, "migDevices": {"1g.10gb": 7}},
    {"name": "serve", "role": "agent", "count": 2, "migDevices": {"1g.10gb": 7}},
]


def test_a_pool_that_grows_in_the_middle_touches_no_other_machine(planned: Planned) -> None:
    more = [_POOLS[0], {**_POOLS[1], "count": 3}, _POOLS[2]]
    assert digest(planned(nodePools=_POOLS), planned(nodePools=more)) == (
        "**Cost:** nothing.\n\n"
        "**Settings**\n\n"
        "- `nodePools[1].count`: 2 → 3\n\n"
        "**train-2** is new: Standard_NC24ads_A100_v4, agent.\n"
        "- GPU 0: makes 7 × 1g.10gb\n\n"
        "The other 5 machines are not touched.\n"
    )
    assert digest(planned(nodePools=more), planned(nodePools=_POOLS)) == (
        "**Cost:** machines are removed: train-2.\n\n"
        "**Settings**\n\n"
        "- `nodePools[1].count`: 3 → 2\n\n"
        "**train-2** is removed, with everything on it; where pods of users run on it, `pulumi up` stops before that "
        "(`mig.onChange: refuse`).\n\n"
        "The other 5 machines are not touched.\n"
    )


def test_a_pool_that_comes_or_goes_in_the_middle_touches_no_other_machine(planned: Planned) -> None:
    new = {"name": "edge", "role": "agent", "vmSize": "Standard_D4s_v5"}
    come = digest(planned(nodePools=_POOLS), planned(nodePools=[*_POOLS[:2], new, _POOLS[2]]))
    assert come == (
        "**Cost:** nothing.\n\n"
        "**Settings**\n\n"
        "- `nodePools`: [control, train, serve] → [control, train, edge, serve]\n\n"
        "**edge** is new: Standard_D4s_v5, agent.\n\n"
        "The other 5 machines are not touched.\n"
    )
    gone = digest(planned(nodePools=_POOLS), planned(nodePools=[_POOLS[0], _POOLS[2]]))
    assert "**train** is removed" in gone
    assert "**train-1** is removed" in gone
    assert gone.endswith("The other 3 machines are not touched.\n")


def test_pools_in_another_order_are_the_same_machines(planned: Planned) -> None:
    other = [_POOLS[0], _POOLS[2], _POOLS[1]]
    assert digest(planned(nodePools=_POOLS), planned(nodePools=other)) == (
        "**Cost:** nothing.\n\n"
        "**Settings**\n\n- `nodePools`: [control, train, serve] → [control, serve, train]\n\nNo machine is touched.\n"
    )


def test_a_change_of_one_pool_is_told_by_its_place_in_the_new_order(planned: Planned) -> None:
    other = [_POOLS[0], _POOLS[2], {**_POOLS[1], "migDevices": {"1g.10gb": 6}}]
    text = digest(planned(nodePools=_POOLS), planned(nodePools=other))
    assert "- `nodePools[2].migDevices`: {1g.10gb: 7} → {1g.10gb: 6}\n" in text
    assert "**train** stays, without a reboot.\n- GPU 0: keeps 6 × 1g.10gb; removes 1 × 1g.10gb\n" in text
    assert "serve**" not in text


def test_another_first_server_means_the_same_cluster(planned: Planned) -> None:
    """Whoever stands first: it has joined already, or joins the others."""
    servers = [{"name": "one"}, {"name": "two", "count": 2}]
    text = digest(planned(nodePools=servers), planned(nodePools=servers[::-1]))
    assert text == (
        "**Cost:** nothing.\n\n**Settings**\n\n- `nodePools`: [one, two] → [two, one]\n\nNo machine is touched.\n"
    )


def test_where_no_server_of_the_cluster_stays_the_change_is_refused(planned: Planned) -> None:
    text = digest(planned(nodePools=_POOLS), planned(nodePools=[{**_POOLS[0], "name": "head"}, *_POOLS[1:]]))
    assert (
        "No server of the cluster stays: `pulumi up` refuses to remove control. Keep one, or `pulumi destroy` the "
        "stack.\n"
    ) in text


def test_the_only_server_is_not_rebuilt_unless_its_cluster_may_be_lost(planned: Planned) -> None:
    text = digest(planned(), planned(clusterMayBeLost=True, rebuild={_NAME: "2"}))
    assert (
        "**mlops-k8s-master** is the only server: `pulumi up` refuses to rebuild it, because the cluster would be "
        "lost. To lose it: `clusterMayBeLost: true`, `pulumi up`, and rebuild it then.\n"
    ) in text
    three = [{"name": _NAME, "count": 3}]
    assert "refuses" not in digest(planned(nodePools=three), planned(nodePools=three, rebuild={_NAME: "2"}))


def test_a_load_balancer_that_comes_or_goes_is_told_to_those_who_use_the_api(planned: Planned) -> None:
    one, three = planned(nodePools=[{"name": "one"}]), planned(nodePools=[{"name": "one", "count": 3}])
    assert (
        "\n\nThe servers get a load balancer, which costs money; the API is at its address from now on. "
        "Fetch the kubeconfig again.\n"
    ) in digest(one, three)
    assert (
        "\n\nThe load balancer is removed; the API is at the address of **one** from now on. Fetch the kubeconfig "
        "again.\n"
    ) in digest(three, one)
    assert "balancer" not in digest(three, planned(nodePools=[{"name": "one", "count": 5}]))


def test_a_machine_is_not_renamed(planned: Planned) -> None:
    """What an older version numbered from 0 keeps its name."""
    kept = [{**_POOLS[0], "firstMachine": "control-0"}, *_POOLS[1:]]
    text = digest(planned(nodePools=kept), planned(nodePools=_POOLS))
    assert text == (
        "**Cost:** `pulumi up` refuses it: control.\n\n"
        "**Settings**\n\n"
        "- `nodePools[0].firstMachine`: control-0 → (not set)\n\n"
        "**control** is called control-0 in Azure, and a machine keeps its name: `pulumi up` refuses this. "
        "Write `firstMachine: control-0`.\n\n"
        "The other 4 machines are not touched.\n"
    )


def test_the_first_agent_touches_nothing_of_the_server(planned: Planned) -> None:
    """Its token was there from the first start."""
    server = {"name": "mlops-k8s-master", "migDevices": {"1g.10gb": 7}}
    before = planned(nodePools=[server])
    text = digest(before, planned(nodePools=[server, {"name": "gpu", "role": "agent", "migDevices": {"1g.10gb": 1}}]))
    assert text.endswith("\nThe other machine is not touched.\n")
    assert "**gpu** is new: Standard_NC24ads_A100_v4, agent." in text


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"network": {"podCidr": "10.44.0.0/16"}}, "network.podCidr"),
        ({"network": {"serviceCidr": "10.45.0.0/16"}}, "network.serviceCidr"),
        ({"rke2": {"cni": "cilium"}}, "rke2.cni"),
        ({"gpuOperator": {"namespace": "gpus"}}, "gpuOperator.namespace"),
    ],
)
def test_what_a_cluster_keeps_for_life_is_refused_on_its_server(
    planned: Planned, change: dict[str, dict[str, str]], key: str
) -> None:
    """And changed where the cluster is lost on purpose."""
    lost = {"clusterMayBeLost": True}
    pools = [{"name": "server"}, {"name": "gpu", "role": "agent"}]
    old = planned(nodePools=pools)
    text = digest(old, planned(nodePools=pools, **change))
    assert f"**server** is refused: it keeps `{key}` for life. Set it back; or give each of its machines " in text
    # An agent with a GPU is told whose pods may end when it reboots.
    assert text.endswith("\nThe other machine is not touched.\n") == (key != "gpuOperator.namespace")
    old = planned(nodePools=pools, **lost)
    assert "refused" not in digest(old, planned(nodePools=pools, **change, **lost, rebuild={"server": "2"}))


def test_a_new_version_changes_no_gpu(planned: Planned) -> None:
    """Only the setting and that the machine stays."""
    assert digest(planned(), planned(rke2={"version": "v1.37.1+rke2r1"})) == (
        "**Cost:** RKE2 restarts, pods go on: mlops-k8s-master.\n\n"
        "**Settings**\n\n"
        "- `rke2.version`: v1.36.4+rke2r1 → v1.37.1+rke2r1\n\n"
        "**mlops-k8s-master** stays, without a reboot. RKE2 goes from v1.36.4+rke2r1 to v1.37.1+rke2r1: it restarts "
        "once, after a snapshot of etcd; its pods go on.\n"
        "- GPU 0: keeps 7 × 1g.10gb\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "v1.35.7+rke2r1",
            "v1.37.1+rke2r1",
            (
                "is refused: from v1.35.7+rke2r1 to v1.37.1+rke2r1 a minor of Kubernetes would be left out. Take a"
                " release of v1.36 first, `pulumi up`, then v1.37.1+rke2r1."
            ),
        ),
        (
            "v1.36.4+rke2r1",
            "v1.35.7+rke2r1",
            (
                "is refused: from v1.36.4+rke2r1 to v1.35.7+rke2r1 Kubernetes would go back by a minor, and it cannot"
                " read what the newer one has written. Keep a release of v1.36; a snapshot from before the upgrade is"
                " restored with the release that it was saved by."
            ),
        ),
    ],
)
def test_a_minor_that_is_left_out_or_gone_back_is_refused(planned: Planned, old: str, new: str, said: str) -> None:
    pools = [{"name": "server"}, {"name": "gpu", "role": "agent"}]
    text = digest(planned(nodePools=pools, rke2={"version": old}), planned(nodePools=pools, rke2={"version": new}))
    assert text.startswith("**Cost:** `pulumi up` refuses it: server, gpu.\n")
    assert f"**server** {said}\n" in text
    assert f"**gpu** {said}\n" in text


@pytest.mark.parametrize(
    ("on_change", "said"),
    [
        ("refuse", "where some of users run on it, `pulumi up` stops before (`mig.onChange: refuse`)"),
        ("drain", "those of users are evicted first (`mig.onChange: drain`)"),
    ],
)
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"branch": 595}, "its kernel runs the old driver until then"),
        (
            {"update": "November"},
            "it takes the newest driver of branch 580, and reboots only if Ubuntu has another one",
        ),
    ],
)
def test_a_reboot_for_a_driver_says_what_becomes_of_pods(
    planned: Planned, change: dict[str, object], why: str, on_change: str, said: str
) -> None:
    mig = {"strategy": "mixed", "onChange": on_change}
    text = digest(planned(mig=mig), planned(mig=mig, driver=change))
    assert f"**mlops-k8s-master** stays, with one reboot: {why}. All its pods restart; {said}.\n" in text
    assert text.startswith("**Cost:** machines reboot: mlops-k8s-master.\n")


def test_an_older_patch_is_another_release_like_any(planned: Planned) -> None:
    text = digest(planned(rke2={"version": "v1.36.4+rke2r1"}), planned(rke2={"version": "v1.36.1+rke2r1"}))
    assert text.startswith("**Cost:** RKE2 restarts, pods go on: mlops-k8s-master.\n")


@pytest.mark.parametrize(
    ("change", "cost"),
    [
        ({"vm": {"tags": {"team": "a"}}}, "nothing"),
        ({"gpuOperator": {"timeoutMinutes": 25}}, "nothing"),
        ({"rke2": {"tlsSans": ["k8s.example.org"]}}, "RKE2 restarts, pods go on: server"),
        ({"driver": {"branch": 595}}, "machines reboot: gpu"),
        ({"driver": {"openKernelModules": True}}, "machines reboot: gpu"),
        ({"rebuild": {"gpu": "2"}}, "machines are replaced: gpu"),
        ({"rebuild": {"server": "2"}}, "**`pulumi up` refuses it**; machines are replaced: server"),
        ({"vm": {"zone": "1"}}, "`pulumi up` refuses it: server, gpu"),
        ({"network": {"podCidr": "10.44.0.0/16"}}, "`pulumi up` refuses it: server"),
    ],
)
def test_the_first_line_says_what_it_costs_and_whom(planned: Planned, change: dict[str, object], cost: str) -> None:
    pools = [{"name": "server", "vmSize": "Standard_D4s_v5"}, {"name": "gpu", "role": "agent"}]
    text = digest(planned(nodePools=pools), planned(nodePools=pools, **change))
    assert text.splitlines()[0] == f"**Cost:** {cost}."


def test_costs_of_several_kinds_stand_worst_first(planned: Planned) -> None:
    two = {"name": "two", "role": "agent", "migDevices": {"1g.10gb": 7}}
    before = [{"name": "one"}, two, {"name": "three", "role": "agent"}]
    after = [{"name": "one", "nodeLabels": {"a": "b"}}, {**two, "migDevices": {"1g.10gb": 3}}]
    assert digest(planned(nodePools=before), planned(nodePools=after)).splitlines()[0] == (
        "**Cost:** machines are removed: three; pods may have to go: two; RKE2 restarts, pods go on: one."
    )
    last = digest(planned(nodePools=before), planned(nodePools=[{"name": "other"}, *before[1:]]))
    assert last.splitlines()[0] == "**Cost:** **`pulumi up` refuses it**; machines are removed: one."


_FIRST = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOb17UP1miHMTeHWq6yJNyR/ybc+QkLG70iACK5rSwsw"
_SECOND = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMqygQ1mb0Ct3s0tf9WsPjjtVQ0Xl8WZNfTFsULe5i2e"
_LOGS_IN_OTHERWISE = (
    "`pulumi up` logs in by another key from now on: set its private half with it, as the secret sshPrivateKey or in "
    "the agent. All that it runs on machines is run once more, and changes nothing."
)
_UNKNOWN = (
    "is refused: it does not know the new `ssh.publicKey` yet, and would not let `pulumi up` in. Write it under "
    "`ssh.otherPublicKeys`, `pulumi up`, and make it `publicKey` then."
)
_NO_LONGER_LET_IN = (
    "The key by which `pulumi up` logged in until now is no longer let in. What is removed or rebuilt in the same "
    "`pulumi up` still leaves by it: keep it under `ssh.otherPublicKeys` until the next one."
)


@pytest.mark.parametrize(
    ("old", "new", "words", "after"),
    [
        ([_FIRST], [_FIRST, _SECOND], "stays, without a reboot.", ()),
        ([_FIRST, _SECOND], [_SECOND, _FIRST], "stays, without a reboot.", (_LOGS_IN_OTHERWISE,)),
        ([_FIRST, _SECOND], [_SECOND], "stays, without a reboot.", (_LOGS_IN_OTHERWISE, _NO_LONGER_LET_IN)),
        ([_SECOND, _FIRST], [_SECOND], "stays, without a reboot.", ()),
        ([_FIRST], [f"{_FIRST} me@home"], "stays, without a reboot.", ()),
        (
            [_FIRST],
            [_SECOND, _FIRST],
            _UNKNOWN,
            (),
        ),
    ],
    ids=["added", "changed", "changed too early", "the old one goes", "its comment", "changed at once"],
)
def test_the_digest_says_what_a_change_of_the_administrators_keys_means(
    planned: Planned, old: list[str], new: list[str], words: str, after: tuple[str, ...]
) -> None:
    pools = [{"vmSize": "Standard_D4s_v5"}]
    before, then = (
        planned(nodePools=pools, ssh={"publicKey": key, "otherPublicKeys": more}) for key, *more in (old, new)
    )
    said = digest(before, then)
    assert f"\n\n**mlops-k8s-master** {words}\n" in said
    assert said.startswith(
        "**Cost:** `pulumi up` refuses it" if words.startswith("is refused") else "**Cost:** nothing."
    )
    assert said.partition(f"{words}\n")[2] == "".join(f"\n{each}\n" for each in after)
