"""What a stack is told though nothing is refused for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from minimal_stack import minimal

from plan import StackPlan, warning_report
from plan.__main__ import main
from plan.machine.desired_state import desired_state
from plan.report.drawing import draw
from plan.report.summary import summary

Planned = Callable[..., StackPlan]
NEWER_THAN_KNOWN = {"version": "v1.38.0+rke2r1", "sha256": "a" * 64}


def told(planned: Planned, **sections: object) -> list[tuple[str, str]]:
    """The place and the text of every warning of a stack with these sections."""
    return [(warning.path, warning.what) for warning in planned(**sections).warnings]


def test_the_defaults_warn_of_nothing(planned: Planned) -> None:
    assert told(planned) == []
    assert warning_report(planned().warnings) == ""


@pytest.mark.parametrize(
    "sections",
    [
        *({"rke2": {"version": f"v1.{of}+rke2r1", "sha256": "a" * 64}} for of in ("35.7", "36.4", "37.1")),
        *({"gpuOperator": {"version": version}} for version in ("v26.3.1", "v26.7.0", "v26.7.2")),
        *({"toolkit": {"version": version}} for version in ("1.18.0-1", "1.20.0-1", "1.20.2-1")),
        {"driver": {"branch": 580, "openKernelModules": True}},
    ],
    ids=str,
)
def test_what_is_supported_is_taken_without_a_word(planned: Planned, sections: dict[str, Any]) -> None:
    """Releases that the facts of 26 November 2026 list."""
    assert told(planned, **sections) == []


@pytest.mark.parametrize(
    ("sections", "path", "what"),
    [
        (
            {"rke2": {"version": "v1.38.0+rke2r1", "sha256": "a" * 64}},
            "mig-k8s:rke2.version",
            "Kubernetes 1.38 is newer than what this program knows of 2026-11-26: 1.37 is its last",
        ),
        (
            {"rke2": {"version": "v1.33.13+rke2r2", "sha256": "a" * 64}},
            "mig-k8s:rke2.version",
            "Kubernetes 1.33 has had no more fixes since 2026-06-28",
        ),
        (
            {"rke2": {"version": "v1.34.10+rke2r1", "sha256": "a" * 64}},
            "mig-k8s:rke2.version",
            "Kubernetes 1.34 has had no more fixes since 2026-10-27",
        ),
        (
            {"gpuOperator": {"version": "v26.11.0"}},
            "mig-k8s:gpuOperator.version",
            "GPU Operator 26.11 is none of those this program knows of 2026-11-26: 26.3, 26.6, 26.7",
        ),
        (
            {"toolkit": {"version": "1.21.0-1"}},
            "mig-k8s:toolkit.version",
            "toolkit 1.21 is newer than what this program knows of 2026-11-26: 1.20 is its last",
        ),
        (
            {"driver": {"branch": 630}},
            "mig-k8s:driver.branch",
            "driver branch 630 is newer than what this program knows of 2026-11-26: 620 is its last",
        ),
        (
            {"driver": {"branch": 595}},
            "mig-k8s:driver.branch",
            (
                "a production branch, supported to 2027-03 only. Of its server packages, closed modules for "
                "7.0.0-1020-azure were seen; a machine with another kernel may need that one, or find none "
                "(Ubuntu's index of 2026-11-26)"
            ),
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_release_to_know_about_is_a_dated_warning(
    planned: Planned, sections: dict[str, Any], path: str, what: str
) -> None:
    """Never a refusal."""
    assert told(planned, **sections) == [(path, what)]


def test_a_release_that_only_the_list_beside_it_checks_is_a_warning_with_the_way_to_a_checksum(
    planned: Planned,
) -> None:
    (warning,) = planned(rke2={"version": "v1.35.7+rke2r1"}).warnings
    assert str(warning) == (
        "mig-k8s:rke2.sha256\n"
        "    is missing, and this program does not know the checksum of v1.35.7+rke2r1: a machine holds the\n"
        "    tarball to the list beside it, which shows damage, but not that somebody replaced both\n"
        "    do: Write what `sha256sum rke2.linux-amd64.tar.gz` prints, of a tarball that you trust."
    )


@pytest.mark.parametrize("value", ["https://get.rke2.io", "http://mirror.example.org/install.sh", f"x#{'b' * 64}"])
def test_the_address_of_an_install_script_is_taken_with_a_warning_that_nothing_reads_it(
    planned: Planned, value: str
) -> None:
    """A stack of last year goes on: what it wanted, RKE2 from its mirror, still comes from there."""
    stack = planned(sources={"rke2Install": value})
    (warning,) = stack.warnings
    assert str(warning) == (
        "mig-k8s:sources.rke2Install\n"
        "    is not read any more: RKE2's install script is not run, its tarball is checked and unpacked\n"
        "    instead\n"
        "    do: Leave it out. The tarball's mirror is sources.rke2Artifacts, its checksum rke2.sha256."
    )
    assert desired_state(stack.nodes[0]) == desired_state(planned().nodes[0])


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("kubelet_arg", "Did you mean kubelet-arg?"),
        ("etcd-snapshot-retension", "Did you mean etcd-snapshot-retention?"),
        ("disabel+", "Did you mean disable?"),
        ("flannel-backend", ""),
    ],
)
def test_a_key_that_rke2_does_not_know_is_a_warning_with_the_nearest_one(
    planned: Planned, key: str, remedy: str
) -> None:
    """RKE2 logs it and goes on."""
    stack = planned(rke2={"config": {key: ["x"], "disable": ["rke2-metrics-server"]}})
    (warning,) = stack.warnings
    assert (warning.path, warning.value, warning.remedy) == (f"mig-k8s:rke2.config.{key}", '["x"]', remedy)
    assert warning.what == "no key that this program knows of RKE2 (as of 2026-11-26): RKE2 only logs unknown ones"


@pytest.mark.parametrize(
    "config",
    [
        {"etcd-snapshot-schedule-cron": "0 */6 * * *", "etcd-snapshot-retention": 10},
        {"kubelet-arg": ["max-pods=200", "authorization-mode=Webhook", "anonymous-auth=false"]},
        {"kube-apiserver-arg": "authorization-mode=Node,RBAC"},
        {"kubelet-arg+": ["v=2"], "selinux": False, "cluster-reset": False, "disable-etcd": False},
        {"system-default-registry": "registry.example.org", "private-registry": "/etc/rancher/rke2/registries.yaml"},
        {"secrets-encryption-provider": "secretbox", "tls-san-security": True, "pause-image": "x/pause:3.6"},
        {"datastore-endpoint": "https://db.example.org", "disable-etcd": True},
        {"node-external-ip": "203.0.113.9", "debug": True},
    ],
    ids=str,
)
def test_rke2s_own_keys_are_taken_without_a_word(planned: Planned, config: dict[str, Any]) -> None:
    assert planned(rke2={"config": config}).warnings == ()


def _shared_by(pods: int) -> dict[str, Any]:
    text = f"sharing: {{timeSlicing: {{resources: [{{name: nvidia.com/gpu, replicas: {pods}}}]}}}}"
    config = {"create": True, "name": "c", "default": "any", "data": {"any": text}}
    return {"values": {"devicePlugin": {"config": config}}}


def test_more_pods_than_a_kubelet_takes_are_a_warning(planned: Planned) -> None:
    """Seven devices for sixteen pods each; the default of max-pods is 110."""
    (warning,) = planned(gpuOperator=_shared_by(16)).warnings
    assert warning.path == "mig-k8s:gpuOperator.values.devicePlugin.config"
    assert warning.what == (
        "the verification has a pod for each replica, up to 112 on a machine of nodePools[0];"
        " a kubelet takes 110 unless it is told otherwise"
    )
    assert planned(gpuOperator=_shared_by(15)).warnings == ()
    assert planned(gpuOperator=_shared_by(16), verify={"enabled": False}).warnings == ()


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A stack file with a Kubernetes that is newer than the tables."""
    config = {f"mig-k8s:{key}": value for key, value in minimal(rke2=NEWER_THAN_KNOWN).items()}
    path = tmp_path / "Pulumi.newer.yaml"
    path.write_text(yaml.safe_dump({"config": {"azure-native:location": "westeurope", **config}}))
    return path


def test_check_shows_warnings_and_ends_well(newer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(newer)]) == 0
    assert (
        "\n1 warning about this stack; nothing is refused for it.\n\n"
        "mig-k8s:rke2.version: v1.38.0+rke2r1\n"
        "    Kubernetes 1.38 is newer than what this program knows of 2026-11-26: 1.37 is its last\n"
        "    do: Compare with the release notes.\n\n"
    ) in capsys.readouterr().out


def test_show_draws_warnings_before_what_only_azure_knows(planned: Planned) -> None:
    data = summary(planned(rke2=NEWER_THAN_KNOWN))
    assert data["warnings"] == [
        {
            "path": "mig-k8s:rke2.version",
            "value": "v1.38.0+rke2r1",
            "what": "Kubernetes 1.38 is newer than what this program knows of 2026-11-26: 1.37 is its last",
            "remedy": "Compare with the release notes.",
        }
    ]
    assert (
        "\n\nWarnings\n"
        "  mig-k8s:rke2.version: v1.38.0+rke2r1\n"
        "    Kubernetes 1.38 is newer than what this program knows of 2026-11-26: 1.37 is its last\n"
        "    Compare with the release notes.\n\n"
        "Only Azure knows\n"
    ) in draw(data, colour=False)
    assert "Warnings" not in draw(summary(planned()), colour=False)


NONE_AND_MIG_ON = {"mig": {"strategy": "none"}, "nodePools": [{"name": "gpu", "role": "server", "migDevices": {}}]}


def test_a_gpu_in_mig_mode_that_is_offered_as_a_whole_one_is_told_of(planned: Planned) -> None:
    ((path, what),) = told(planned, **NONE_AND_MIG_ON)
    assert path == "mig-k8s:nodePools[0]"
    assert what == (
        "strategy none offers its GPU in MIG mode as nvidia.com/gpu, and a pod that requests it does not start:"
        " devices are given to pods by CDI, whose specification leaves out a GPU in MIG mode"
    )


def test_a_whole_gpu_and_one_that_is_given_in_a_variable_are_not_warned_of(planned: Planned) -> None:
    assert told(planned, mig={"strategy": "none"}, nodePools=[{"name": "gpu", "role": "server"}]) == []
    by_variable = {
        "toolkit": {"deviceListFromEnvironment": True},
        "gpuOperator": {"values": {"cdi": {"enabled": False}}},
    }
    assert told(planned, **NONE_AND_MIG_ON, **by_variable) == []
