"""What lands on a machine: RKE2's configuration, the desired state, the files, the user-data and the layout."""

import base64
import gzip
import importlib
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from minimal_stack import minimal

from plan import NodePlan, Problems, StackPlan, bundle, layout_json, machine_files, plan_stack, read_settings, user_data

Planned = Callable[..., StackPlan]
_ADDRESS = "20.1.2.3"
_POOLS = [
    {"name": "server", "count": 3, "vmSize": "Standard_D4s_v5"},
    {
        "name": "gpu",
        "role": "agent",
        "migDevices": {"1g.10gb": 7},
        "nodeLabels": {"example.org/work": "train"},
        "nodeTaints": ["gpu=true:NoSchedule"],
    },
]


def _file(node: NodePlan, path: str) -> str:
    (found,) = [file for file in machine_files(node, public_address=_ADDRESS) if file.path == path]
    return found.content


def _rke2(node: NodePlan) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_file(node, "/etc/rancher/rke2/config.yaml"))
    return content


def _user_data(node: NodePlan) -> str:
    return user_data(node, public_address=_ADDRESS, host_private_key="PRIVATE\n", host_public_key="ssh-ed25519 AAAA")


def test_a_lone_server_needs_neither_token_nor_server_address(planned: Planned) -> None:
    """The tutorial's machine."""
    assert _rke2(planned().nodes[0]) == {
        "node-name": "mlops-k8s-master",
        "node-ip": "10.60.0.4",
        "cni": "calico",
        "ingress-controller": "none",
        "tls-san": ["mlops-k8s-master", "20.1.2.3"],
        "write-kubeconfig-mode": "0600",
        "cluster-cidr": "10.42.0.0/16",
        "service-cidr": "10.43.0.0/16",
    }


def test_an_ingress_controller_runs_only_when_the_stack_asks_for_it(planned: Planned) -> None:
    """RKE2's default would bind 80 and 443 on every node. A list of its own that the stack disables stays as it is."""
    for chosen in ("traefik", "ingress-nginx"):
        assert _rke2(planned(rke2={"ingress": chosen}).nodes[0])["ingress-controller"] == chosen
    own = _rke2(planned(rke2={"config": {"disable": ["rke2-metrics-server"]}}).nodes[0])
    assert (own["ingress-controller"], own["disable"]) == ("none", ["rke2-metrics-server"])
    agent = _rke2(planned(nodePools=_POOLS, rke2={"ingress": "traefik"}).nodes[3])
    assert "ingress-controller" not in agent


def test_the_kubeconfig_mode_is_text_for_every_yaml_reader(planned: Planned) -> None:
    """Unquoted, YAML 1.1 reads 0600 as 384."""
    assert 'write-kubeconfig-mode: "0600"' in _file(planned().nodes[0], "/etc/rancher/rke2/config.yaml").replace(
        "'", '"'
    )


def test_further_servers_and_agents_join_the_first(planned: Planned) -> None:
    """By its private address, with the shared token."""
    nodes = planned(nodePools=_POOLS).nodes
    assert [node.name for node in nodes] == ["server-0", "server-1", "server-2", "gpu"]
    assert [node.private_address for node in nodes] == ["10.60.0.4", "10.60.0.5", "10.60.0.6", "10.60.0.7"]
    configs = [_rke2(node) for node in nodes]
    assert [config.get("server") for config in configs] == [None, *["https://10.60.0.4:9345"] * 3]
    assert [config["token-file"] for config in configs] == ["/etc/rancher/rke2/token"] * 4
    assert configs[3] == {
        "node-name": "gpu",
        "node-ip": "10.60.0.7",
        "server": "https://10.60.0.4:9345",
        "token-file": "/etc/rancher/rke2/token",
        "node-label": ["example.org/work=train"],
        "node-taint": ["gpu=true:NoSchedule"],
    }


def test_options_of_rke2_reach_its_configuration(planned: Planned) -> None:
    """CIS, certificate names without repetition, further keys."""
    rke2 = {"cis": True, "cni": "cilium", "tlsSans": ["k8s.example.org", "20.1.2.3"], "config": {"disable": ["x"]}}
    config = _rke2(planned(rke2=rke2).nodes[0])
    assert config["profile"] == "cis"
    assert config["cni"] == "cilium"
    assert config["tls-san"] == ["mlops-k8s-master", "20.1.2.3", "k8s.example.org"]
    assert config["disable"] == ["x"]


def test_mig_manager_finds_its_label_at_registration(planned: Planned) -> None:
    """Without it the operator's default would remove every instance."""
    nodes = planned(mig={"owner": "operator"}).nodes
    assert _rke2(nodes[0])["node-label"] == ["nvidia.com/mig.config=mig-k8s-mlops-k8s-master"]


def test_the_desired_state_of_the_default_machine(planned: Planned) -> None:
    """Every key, literally."""
    assert json.loads(_file(planned().nodes[0], "/etc/mig-k8s/desired.json")) == {
        "version": 1,
        "node": {"name": "mlops-k8s-master", "role": "server"},
        "apt": {"ubuntu": None},
        "driver": {"source": "ubuntu", "branch": 580, "openKernelModules": False},
        "toolkit": {"version": "1.20.2-1", "apt": "https://nvidia.github.io/libnvidia-container"},
        "mig": {"mode": [True], "onChange": "refuse"},
        "rke2": {
            "version": "v1.36.4+rke2r1",
            "install": "https://get.rke2.io",
            "artifacts": None,
            "sha256": None,
            "role": "server",
            "token": False,
            "cis": False,
        },
    }


def test_a_machine_without_gpu_gets_no_driver_toolkit_or_mig(planned: Planned) -> None:
    """And a token, because it has company."""
    server = planned(nodePools=_POOLS).nodes[0]
    desired = json.loads(_file(server, "/etc/mig-k8s/desired.json"))
    assert (desired["driver"], desired["toolkit"], desired["mig"]) == (None, None, None)
    assert desired["rke2"]["token"] is True
    assert (server.layout, server.mig_owner) == (None, None)


def test_a_machine_of_mig_managers_gets_its_mode_from_the_host_and_its_instances_not(planned: Planned) -> None:
    """MIG Manager's reboot for the mode would cut the verification off; its config wants the same mode."""
    node = planned(mig={"owner": "operator"}).nodes[0]
    assert json.loads(_file(node, "/etc/mig-k8s/desired.json"))["mig"] == {"mode": [True], "onChange": "refuse"}
    assert node.mig_owner == "operator"
    with pytest.raises(ValueError, match="mlops-k8s-master has no layout"):
        layout_json(node)
    off = planned(mig={"owner": "operator", "strategy": "none"}, nodePools=[{}]).nodes[0]
    assert json.loads(_file(off, "/etc/mig-k8s/desired.json"))["mig"] is None


def test_a_host_turns_the_mode_off_where_no_layout_wants_it(planned: Planned) -> None:
    """Also on a GPU that somebody else turned it on for."""
    node = planned(mig={"strategy": "none"}, nodePools=[{}]).nodes[0]
    assert json.loads(_file(node, "/etc/mig-k8s/desired.json"))["mig"] == {"mode": [False], "onChange": "refuse"}


def test_two_machines_share_a_token(planned: Planned) -> None:
    """A machine without others needs none."""
    pools = [{"name": "server"}, {"name": "gpu", "role": "agent"}]
    assert [node.has_token for node in planned(nodePools=pools).nodes] == [True, True]
    assert [node.has_token for node in planned(nodePools=pools[:1]).nodes] == [False]


def test_mirrors_reach_the_desired_state(planned: Planned) -> None:
    """All of sources, and the checksum."""
    sources = {
        "ubuntuApt": "https://m.example.org/ubuntu/",
        "toolkitApt": "https://m.example.org/nvidia#0123456789ABCDEF0123456789ABCDEF01234567",
        "rke2Install": "https://m.example.org/install.sh",
        "rke2Artifacts": "https://m.example.org/rke2",
    }
    stack = planned(sources=sources, rke2={"sha256": "a" * 64})
    desired = json.loads(_file(stack.nodes[0], "/etc/mig-k8s/desired.json"))
    assert desired["apt"] == {"ubuntu": "https://m.example.org/ubuntu"}
    assert desired["toolkit"]["apt"] == "https://m.example.org/nvidia#0123456789ABCDEF0123456789ABCDEF01234567"
    assert desired["rke2"]["install"] == "https://m.example.org/install.sh"
    assert desired["rke2"]["artifacts"] == "https://m.example.org/rke2"
    assert desired["rke2"]["sha256"] == "a" * 64


def test_the_layout_names_profiles_and_places(planned: Planned) -> None:
    """The machine looks up ids on its own GPU."""
    stack = planned(mig={"strategy": "mixed"}, nodePools=[{"migDevices": {"1g.10gb": 1, "3g.40gb": 1, "2g.20gb": 1}}])
    assert json.loads(layout_json(stack.nodes[0])) == {
        "version": 1,
        "onChange": "refuse",
        "gpus": [
            {
                "index": 0,
                "mode": True,
                "instances": [
                    {"profile": "3g.40gb", "start": 4},
                    {"profile": "2g.20gb", "start": 0},
                    {"profile": "1g.10gb", "start": 2},
                ],
            }
        ],
    }


def test_mig_off_is_a_layout_too(planned: Planned) -> None:
    """So that turning MIG off is carried out."""
    stack = planned(mig={"strategy": "none"}, nodePools=[{}])
    assert json.loads(layout_json(stack.nodes[0])) == {
        "version": 1,
        "onChange": "refuse",
        "gpus": [{"index": 0, "mode": False, "instances": []}],
    }


@pytest.mark.parametrize("on_change", ["refuse", "drain"])
def test_what_becomes_of_pods_in_the_way_reaches_the_machine_for_a_new_layout_and_a_new_mode(
    planned: Planned, on_change: str
) -> None:
    """mig.onChange: mig-apply reads it from the layout, the mig-mode stage from the desired state."""
    node = planned(mig={"onChange": on_change}).nodes[0]
    assert json.loads(layout_json(node))["onChange"] == on_change
    assert json.loads(_file(node, "/etc/mig-k8s/desired.json"))["mig"] == {"mode": [True], "onChange": on_change}


def test_every_gpu_has_its_own_layout(planned: Planned) -> None:
    """Written per GPU; the one not named is off."""
    pool = {"vmSize": "Standard_NC96ads_A100_v4", "gpus": [{"devices": [0, 3], "migDevices": {"7g.80gb": 1}}]}
    stack = planned(mig={"strategy": "mixed"}, nodePools=[pool])
    layout = stack.nodes[0].layout
    assert layout is not None
    assert layout.modes == (True, False, False, True)


def test_these_files_land_on_a_machine_with_these_modes(planned: Planned) -> None:
    """Secrets and configuration for root only, programs executable."""
    files = machine_files(planned().nodes[0], public_address=_ADDRESS)
    assert {file.path: file.mode for file in files} == {
        "/usr/local/sbin/mig-k8s": "0755",
        "/usr/local/sbin/mig-apply": "0755",
        "/usr/local/sbin/mig-verify": "0755",
        "/usr/local/lib/mig-k8s/stages/apt": "0755",
        "/usr/local/lib/mig-k8s/stages/driver": "0755",
        "/usr/local/lib/mig-k8s/stages/toolkit": "0755",
        "/usr/local/lib/mig-k8s/stages/mig-mode": "0755",
        "/usr/local/lib/mig-k8s/stages/rke2": "0755",
        "/etc/systemd/system/mig-k8s-converge.service": "0644",
        "/etc/systemd/system/mig-k8s-instances.service": "0644",
        "/etc/mig-k8s/desired.json": "0600",
        "/etc/rancher/rke2/config.yaml": "0600",
    }


def test_the_bundle_holds_the_files_of_the_birth_certificate_and_the_verification(planned: Planned) -> None:
    """One converge path: what cloud-init writes is what SSH pushes. mig-verify is run over SSH only, so it comes so."""
    node = planned().nodes[0]
    pushed = json.loads(bundle(node, public_address=_ADDRESS))
    assert pushed["version"] == 1
    born = yaml.safe_load(_user_data(node))["write_files"]
    kept = [file for file in pushed["files"] if file["path"] != "/usr/local/sbin/mig-verify"]
    assert len(kept) == len(pushed["files"]) - 1
    assert [(file["path"], file["mode"], file["content"]) for file in kept] == [
        (file["path"], file["permissions"], _unpacked(file)) for file in born
    ]


def _unpacked(file: dict[str, str]) -> str:
    if file.get("encoding") == "gz+b64":
        return gzip.decompress(base64.b64decode(file["content"])).decode()
    return file["content"]


def test_user_data_is_a_cloud_config_with_the_pinned_host_key(planned: Planned) -> None:
    """The host keys the image came with are deleted."""
    text = _user_data(planned().nodes[0])
    assert text.startswith("#cloud-config\n")
    document = yaml.safe_load(text)
    assert document["ssh_deletekeys"] is True
    assert document["ssh_keys"] == {"ed25519_private": "PRIVATE\n", "ed25519_public": "ssh-ed25519 AAAA"}
    assert document["runcmd"] == [
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", "mig-k8s-converge.service", "mig-k8s-instances.service"],
        ["systemctl", "start", "--no-block", "mig-k8s-converge.service"],
    ]


def test_permissions_in_user_data_are_text(planned: Planned) -> None:
    """cloud-init refuses the number that YAML 1.1 makes of 0600."""
    for file in yaml.safe_load(_user_data(planned().nodes[0]))["write_files"]:
        assert file["permissions"] in ("0600", "0644", "0755")
        assert file["owner"] == "root:root"


def test_user_data_is_the_same_text_every_time(planned: Planned) -> None:
    """No time, no randomness: it is a birth certificate."""
    node = planned().nodes[0]
    assert _user_data(node) == _user_data(node)
    packed = [file for file in yaml.safe_load(_user_data(node))["write_files"] if "encoding" in file]
    assert packed
    for file in packed:
        time_of_packing = base64.b64decode(file["content"])[4:8]
        assert time_of_packing == bytes(4)


def test_user_data_too_large_for_azure_is_refused_with_its_size() -> None:
    """65,535 bytes, and what of it the author can shorten."""
    sections = minimal(rke2={"config": {f"key-{number}": sha256(b"%d" % number).hexdigest() for number in range(999)}})
    settings = read_settings(sections, location="westeurope", secrets={"sshHostKey", "sshPrivateKey"})
    with pytest.raises(Problems) as caught:
        _user_data(plan_stack(settings).nodes[0])
    (problem,) = caught.value.problems
    assert problem.path == "mig-k8s:rke2.config"
    assert problem.what.startswith("the user-data of mlops-k8s-master is ")
    assert problem.allowed == "Azure takes at most 65535 bytes"


def test_an_incomplete_checkout_is_said_to_be_one(
    planned: Planned, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Which files are missing, before anything is made."""
    module = importlib.import_module("plan.machine.files")
    monkeypatch.setattr(module, "_REPOSITORY", tmp_path)
    module._static_files.cache_clear()
    try:
        with pytest.raises(FileNotFoundError, match="this checkout lacks cloud-init/sbin/mig-k8s, "):
            machine_files(planned().nodes[0], public_address=_ADDRESS)
    finally:
        module._static_files.cache_clear()
