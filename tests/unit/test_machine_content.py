"""What lands on a machine: RKE2's configuration, the desired state, the files, the user-data and the layout."""

import ast
import base64
import bz2
import gzip
import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from minimal_stack import SECRETS, addresses, minimal

from plan import (
    HostKey,
    NodePlan,
    Problems,
    Release,
    StackPlan,
    configuration,
    delivery,
    delivery_command,
    first_release,
    plan_stack,
    read_settings,
    release,
    user_data,
)
from plan.machine.source import for_machines

Planned = Callable[..., StackPlan]
_REPOSITORY = Path(__file__).resolve().parents[2]
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


def _desired(node: NodePlan) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(configuration(node, addresses(node)).desired_state.to_json())
    return content


def _rke2_text(node: NodePlan) -> str:
    return configuration(node, addresses(node)).rke2_config


def _rke2(node: NodePlan) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_rke2_text(node))
    return content


def _packed(node: NodePlan) -> bytes:
    return user_data(node, addresses(node), HostKey("PRIVATE\n", "ssh-ed25519 AAAA"))


def _user_data(node: NodePlan) -> str:
    return gzip.decompress(_packed(node)).decode()


def test_a_lone_server_has_its_tokens_from_its_first_start(planned: Planned) -> None:
    """The tutorial's machine: with the first agent beside it, nothing of this changes."""
    assert _rke2(planned().nodes[0]) == {
        "node-name": "mlops-k8s-master",
        "node-ip": "10.60.0.4",
        "token-file": "/etc/rancher/rke2/token",
        "agent-token-file": "/etc/rancher/rke2/agent-token",
        "cni": "calico",
        "ingress-controller": "none",
        "tls-san": ["mlops-k8s-master", "20.1.2.3"],
        "write-kubeconfig-mode": "0600",
        "cluster-cidr": "10.42.0.0/16",
        "service-cidr": "10.43.0.0/16",
        "server": "https://a-server-of-the-cluster.invalid:9345",
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
    assert 'write-kubeconfig-mode: "0600"' in _rke2_text(planned().nodes[0]).replace("'", '"')


def test_all_machines_are_told_alike_that_they_join(planned: Planned) -> None:
    """By which server they find out there; an agent knows no agent token beside its own."""
    nodes = planned(nodePools=_POOLS).nodes
    assert [node.name for node in nodes] == ["server", "server-1", "server-2", "gpu"]
    configs = [_rke2(node) for node in nodes]
    assert [config["server"] for config in configs] == ["https://a-server-of-the-cluster.invalid:9345"] * 4
    assert [config["token-file"] for config in configs] == ["/etc/rancher/rke2/token"] * 4
    assert [config.get("agent-token-file") for config in configs] == [*["/etc/rancher/rke2/agent-token"] * 3, None]
    assert configs[3] == {
        "node-name": "gpu",
        "node-ip": "10.60.0.4",
        "server": "https://a-server-of-the-cluster.invalid:9345",
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
    assert _desired(planned().nodes[0]) == {
        "version": 1,
        "node": {"name": "mlops-k8s-master"},
        "apt": {"ubuntu": None},
        "driver": {"source": "ubuntu", "branch": 580, "openKernelModules": False, "update": ""},
        "toolkit": {
            "version": "1.20.2-1",
            "apt": "https://nvidia.github.io/libnvidia-container",
            "deviceListFromEnvironment": False,
        },
        "mig": {"mode": [True], "onChange": "refuse"},
        "rke2": {
            "version": "v1.36.4+rke2r1",
            "artifacts": None,
            "sha256": "7bcbd3167d6947e1d79cdf722acdc740b28021fefb50dd5b974a1980776d4079",
            "role": "server",
            "cis": False,
            "gpu": True,
            "podsReachMetadata": False,
            "imageArchives": [],
        },
        "fabricManager": None,
        "pods": {"onChange": "refuse", "namespaces": ["kube-system", "gpu-operator"]},
    }


@pytest.mark.parametrize(
    ("vm_size", "wanted"),
    [
        ("Standard_NC24ads_A100_v4", None),
        ("Standard_NC40ads_H100_v5", None),
        ("Standard_ND96asr_v4", {"source": "ubuntu", "branch": 580}),
        ("Standard_ND96isr_H100_v5", {"source": "ubuntu", "branch": 580}),
        ("Standard_ND96isr_H200_v5", {"source": "ubuntu", "branch": 580}),
    ],
)
def test_sizes_with_nvswitch_get_fabric_manager_of_the_drivers_branch_and_no_others(
    planned: Planned, vm_size: str, wanted: object
) -> None:
    pools = [{"vmSize": vm_size, "migDevices": {}}]
    trusted = {"securityType": "Standard"} if vm_size == "Standard_ND96asr_v4" else {}
    node = planned(nodePools=pools, mig={"strategy": "none"}, vm=trusted).nodes[0]
    assert _desired(node)["fabricManager"] == wanted


def test_a_machine_without_gpu_gets_no_driver_toolkit_or_mig(planned: Planned) -> None:
    """And its containerd needs no NVIDIA runtime."""
    server = planned(nodePools=_POOLS).nodes[0]
    desired = _desired(server)
    assert (desired["driver"], desired["toolkit"], desired["mig"]) == (None, None, None)
    assert desired["rke2"]["gpu"] is False
    assert (server.layout, server.mig_owner) == (None, None)


def test_a_machine_of_mig_managers_gets_its_mode_from_the_host_and_its_instances_not(planned: Planned) -> None:
    """MIG Manager's reboot for the mode would cut the verification off; its config wants the same mode."""
    node = planned(mig={"owner": "operator"}).nodes[0]
    assert _desired(node)["mig"] == {"mode": [True], "onChange": "refuse"}
    assert node.mig_owner == "operator"
    assert planned(mig={"owner": "operator"}).host_layouts == {}
    off = planned(mig={"owner": "operator", "strategy": "none"}, nodePools=[{}]).nodes[0]
    assert _desired(off)["mig"] is None


def test_a_host_turns_the_mode_off_where_no_layout_wants_it(planned: Planned) -> None:
    """Also on a GPU that somebody else turned it on for."""
    node = planned(mig={"strategy": "none"}, nodePools=[{}]).nodes[0]
    assert _desired(node)["mig"] == {"mode": [False], "onChange": "refuse"}


def test_mirrors_reach_the_desired_state(planned: Planned) -> None:
    """All of sources, and the checksum."""
    sources = {
        "ubuntuApt": "https://m.example.org/ubuntu/",
        "toolkitApt": "https://m.example.org/nvidia#0123456789ABCDEF0123456789ABCDEF01234567",
        "rke2Artifacts": "https://m.example.org/rke2",
    }
    stack = planned(sources=sources, rke2={"sha256": "a" * 64})
    desired = _desired(stack.nodes[0])
    assert desired["apt"] == {"ubuntu": "https://m.example.org/ubuntu"}
    assert desired["toolkit"]["apt"] == "https://m.example.org/nvidia#0123456789ABCDEF0123456789ABCDEF01234567"
    assert desired["rke2"]["artifacts"] == "https://m.example.org/rke2"
    assert desired["rke2"]["sha256"] == "a" * 64


def test_plain_http_is_taken_where_a_checksum_or_a_pinned_key_holds_what_comes(planned: Planned) -> None:
    sources = {
        "ubuntuApt": "http://m.example.org/ubuntu",
        "toolkitApt": "http://m.example.org/nvidia",
        "rke2Artifacts": "http://m.example.org/rke2",
    }
    desired = _desired(planned(sources=sources, rke2={"sha256": "a" * 64}).nodes[0])
    assert desired["apt"] == {"ubuntu": "http://m.example.org/ubuntu"}
    assert desired["toolkit"]["apt"] == "http://m.example.org/nvidia"
    assert (desired["rke2"]["artifacts"], desired["rke2"]["sha256"]) == ("http://m.example.org/rke2", "a" * 64)


def test_the_checksum_of_the_stack_file_wins_over_the_tables_which_knows_the_default_release(planned: Planned) -> None:
    table = "7bcbd3167d6947e1d79cdf722acdc740b28021fefb50dd5b974a1980776d4079"
    http = {"rke2Artifacts": "http://m.example.org/rke2"}
    assert _desired(planned(sources=http).nodes[0])["rke2"]["sha256"] == table
    own = planned(rke2={"version": "v1.36.4+rke2r1", "sha256": "a" * 64})
    assert _desired(own.nodes[0])["rke2"]["sha256"] == "a" * 64
    assert _desired(planned(rke2={"version": "v1.35.7+rke2r1"}).nodes[0])["rke2"]["sha256"] is None


def test_the_layout_names_profiles_and_places(planned: Planned) -> None:
    """The machine looks up ids on its own GPU."""
    stack = planned(mig={"strategy": "mixed"}, nodePools=[{"migDevices": {"1g.10gb": 1, "3g.40gb": 1, "2g.20gb": 1}}])
    assert json.loads(stack.host_layouts[stack.nodes[0].name].to_json()) == {
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
    assert json.loads(stack.host_layouts[stack.nodes[0].name].to_json()) == {
        "version": 1,
        "onChange": "refuse",
        "gpus": [{"index": 0, "mode": False, "instances": []}],
    }


@pytest.mark.parametrize("on_change", ["refuse", "drain"])
def test_what_becomes_of_pods_in_the_way_reaches_the_machine_for_a_new_layout_and_a_new_mode(
    planned: Planned, on_change: str
) -> None:
    """mig.onChange: mig-apply reads it from the layout, the mig-mode stage from the desired state."""
    stack = planned(mig={"onChange": on_change})
    (node,) = stack.nodes
    assert stack.host_layouts[node.name].on_change == on_change
    assert _desired(node)["mig"] == {"mode": [True], "onChange": on_change}


def test_every_gpu_has_its_own_layout(planned: Planned) -> None:
    """Written per GPU; the one not named is off."""
    pool = {"vmSize": "Standard_NC96ads_A100_v4", "gpus": [{"devices": [0, 3], "migDevices": {"7g.80gb": 1}}]}
    stack = planned(mig={"strategy": "mixed"}, nodePools=[pool])
    layout = stack.nodes[0].layout
    assert layout is not None
    assert layout.modes == (True, False, False, True)


def test_a_server_gets_both_tokens_and_an_agent_only_its_own(planned: Planned) -> None:
    """Literal values, by `openssl dgst -sha256 -hmac secret` and, of name and token as lines, sha256sum."""
    nodes = planned(nodePools=_POOLS).nodes
    agents = "72c3333742d257dd66f4b6a3eb1bd8849967ae92add880dc3086f04bab5830ef\n"
    server, agent = (configuration(node, addresses(node), token=" secret\n") for node in (nodes[0], nodes[3]))
    assert (server.rke2_token, server.rke2_agent_token) == ("secret\n", agents)
    assert (agent.rke2_token, agent.rke2_agent_token) == (agents, None)
    assert "secret" not in agent.to_json()
    assert server.node_password == "a18667d3f700ccb1dd686afb32cac31281d4d70c497e5a4ead199c01d448b116\n"
    assert agent.node_password == "c48d0983463a82fecc45e6ef1f5c73c595b00222630ef44901f567a7c69a860a\n"


def test_a_configuration_without_the_token_holds_nothing_secret(planned: Planned) -> None:
    """It is what the input's identity in the state is made of."""
    node = planned().nodes[0]
    made = configuration(node, addresses(node))
    assert (made.rke2_token, made.rke2_agent_token, made.node_password) == (None, None, None)


def test_user_data_holds_the_first_release_as_ssh_delivers_the_whole_one_and_the_configuration_in_plain_files(
    planned: Planned,
) -> None:
    """One form, and one command that receives it."""
    node = planned().nodes[0]
    files = {file["path"]: file for file in yaml.safe_load(_user_data(node))["write_files"]}
    wanted = configuration(node, addresses(node))
    assert {path: file["content"] for path, file in files.items()} == {
        "/usr/local/lib/mig-k8s/release.cloud-init": delivery(first_release()),
        "/etc/mig-k8s/desired.json": wanted.desired_state.to_json(),
        "/etc/rancher/rke2/config.yaml": wanted.rke2_config,
    }
    # As text: cloud-init refuses the number that YAML 1.1 makes of 0600.
    assert [file["permissions"] for file in files.values()] == ["0600"] * 3
    assert not any("encoding" in file or "owner" in file for file in files.values())


def test_the_release_holds_what_the_machine_runs(planned: Planned) -> None:
    """And nothing of this checkout besides."""
    assert planned
    folders = {path.partition("/")[0] for path in release().contents}
    assert folders == {"__main__.py", "machine", "stages", "library", "units", "entry-points", "manifest.json"}
    assert not any("__pycache__" in path or path.startswith("machine/__main__") for path in release().contents)
    assert {path for path in release().contents if path.startswith("units/")} == {
        "units/mig-k8s-converge.service",
        "units/mig-k8s-instances.service",
        "units/mig-k8s-pods.service",
    }
    assert "from machine.command_line import main" in release().contents["__main__.py"]


def test_a_machine_is_made_with_all_of_the_release_but_what_only_pulumi_up_calls() -> None:
    """That comes over SSH, before anybody can ask for it; what runs at a boot is there from the first one."""
    first, whole = first_release().contents, release().contents
    manifest = "manifest.json"
    assert {path: text for path, text in whole.items() if path not in first} == {
        path: text
        for path, text in whole.items()
        if path.startswith(
            ("machine/verification/", "machine/cluster/", "machine/mig_manager/", "machine/update/", "machine/backup/")
        )
        or path
        in (
            "machine/documents/backup.py",
            "machine/documents/mig_manager_layout.py",
            "machine/documents/verification_report.py",
            "machine/documents/node_removal.py",
        )
    }
    assert {path for path, text in first.items() if whole[path] != text} == {manifest}
    assert {"machine/verification/run.py", "machine/cluster/removal.py"} <= whole.keys() - first.keys()
    assert json.loads(first[manifest])["digest"][:16] == first_release().name != release().name


def test_no_module_of_the_first_release_needs_one_that_is_not_in_it() -> None:
    """What comes later is looked for where it is called, and nowhere else."""
    modules = {path: ast.parse(text) for path, text in first_release().contents.items() if path.endswith(".py")}
    imported = {
        f"{node.module}.{alias.name}".replace(".", "/")
        for tree in modules.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("machine")
        for alias in node.names
    }
    there = {path.removesuffix(".py").removesuffix("/__init__") for path in modules}
    assert len(imported) > 100
    assert {name for name in imported if name not in there and name.rpartition("/")[0] not in there} == set()


def test_a_release_is_delivered_as_the_same_text_every_time_and_unpacks_to_its_files() -> None:
    """base64 of bzip2 in one line: path, mode and text of each file, a zero byte between them, without a time."""
    text = delivery(release())
    again = Release(contents=dict(release().contents), name=release().name)
    assert delivery(again) == text
    assert re.fullmatch("[A-Za-z0-9+/]+=*", text)
    parts = bz2.decompress(base64.b64decode(text)).decode().split("\0")
    assert dict(zip(parts[::3], parts[2::3], strict=True)) == release().contents
    modes = dict(zip(parts[::3], parts[1::3], strict=True))
    assert [path for path, mode in modes.items() if mode == "755"] == [
        *(
            f"stages/{name}"
            for name in ("apt", "driver", "fabric-manager", "mig-mode", "rke2", "rke2-download", "toolkit")
        ),
        *(f"entry-points/{name}" for name in ("mig-apply", "mig-k8s", "mig-verify")),
    ]
    assert set(modes.values()) == {"755", "644"}


def test_a_release_is_packed_once_for_all_machines() -> None:
    """Its delivery is one text, not one text per machine."""
    assert delivery(release()) is delivery(release())


def test_what_receives_a_release_is_one_command_that_needs_nothing_of_what_is_there() -> None:
    """No data in it, and no program but a shell and the Python that cloud-init runs on."""
    assert delivery_command() == (
        'sh -c \'d=/usr/local/lib/mig-k8s/incoming.$$; rm -rf "$d"; mkdir -p "$d" && /usr/bin/python3 -I -W ignore -c'
        ' "import base64, bz2, pathlib, sys\n'
        "sys.tracebacklimit = 0\n"
        "parts = bz2.decompress(base64.b64decode(sys.stdin.buffer.read())).split(bytes(1))\n"
        "for name, mode, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):\n"
        "    path = pathlib.Path(sys.argv[1], name.decode())\n"
        "    path.parent.mkdir(parents=True, exist_ok=True)\n"
        "    path.write_bytes(text)\n"
        "    path.chmod(int(mode, 8))\n"
        '" "$d"'
        ' || { rm -rf "$d"; echo "the release did not arrive whole; run it again" >&2; exit 1; };'
        ' exec /usr/bin/python3 -I -B "$d" install\''
    )
    assert delivery_command(if_none=True) == delivery_command().removesuffix("'") + " --if-none'"


def test_programs_go_to_a_machine_without_comments_and_types_and_with_their_line_numbers() -> None:
    """Whatever runs is there, with a space a level; a text that looks like a comment is not a comment."""
    python = '''"""What
it does."""

# why
NAME = """
    # a text
"""


class Empty(Exception):
    """Nothing else."""


class Full:
    """Two."""

    field: int = 1  # why
    other: str = '#'  # why
    """What it is."""

    def é(self, ü: "dict[str, int]", /, *rest: int, key: str | None = ' -> #', **more: str) -> "list[int]":  # why
        """It."""
        kept: int = 1
        return [each for each in (lambda a, b=2: (a, b))(kept)]

    async def lines(
        self, one: int,
        two: Callable[[], int] = lambda: 2,
    ) -> tuple[
        int, ...
    ]: ...
'''
    assert for_machines("machine/a.py", python).split("\n") == [
        "", "", "", "", 'NAME = """', "    # a text", '"""', "", "", "class Empty(Exception):", " ...", "", "",
        "class Full:", "", "", " field: int = 1", " other: str = '#'", "", "",
        " def é(self, ü, /, *rest, key = ' -> #', **more):", "", "  kept: int = 1",
        "  return [each for each in (lambda a, b=2: (a, b))(kept)]", "",
        " async def lines(", "  self, one,", "  two = lambda: 2,", " ) -> tuple[", "  int, ...", " ]: ...", "",
    ]  # fmt: skip
    shell = "#!/bin/sh\n# why\ncat <<'END'\n# a text\nEND\n  # why\nread x <<<END\n# why\n"
    assert for_machines("stages/a", shell) == "#!/bin/sh\n\ncat <<'END'\n# a text\nEND\n\nread x <<<END\n\n"
    assert for_machines("units/a.service", "# kept\n") == "# kept\n"


@pytest.mark.parametrize("path", [path for path in release().contents if path.endswith(".py")])
def test_a_module_on_a_machine_is_the_module_of_the_checkout(path: str) -> None:
    """The same program in the same lines, but for docstrings and the types of functions."""
    source = (_REPOSITORY / ("machine/__main__.py" if path == "__main__.py" else path)).read_text(encoding="utf-8")
    on_machine = release().contents[path]
    assert len(on_machine.splitlines()) <= len(source.splitlines())
    assert _program(on_machine) == _program(source)
    assert not [node for node in ast.walk(ast.parse(on_machine)) if isinstance(node, ast.arg) and node.annotation]


def _program(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [  # type: ignore[attr-defined]
                each for each in body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
            ]
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
    return ast.dump(tree, include_attributes=False) + str(
        [node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    )


def test_user_data_is_a_cloud_config_with_the_pinned_host_key(planned: Planned) -> None:
    """The host keys the image came with are deleted."""
    text = _user_data(planned().nodes[0])
    assert text.startswith("#cloud-config\n")
    document = yaml.safe_load(text)
    assert document["ssh_deletekeys"] is True
    assert document["ssh_keys"] == {"ed25519_private": "PRIVATE\n", "ed25519_public": "ssh-ed25519 AAAA"}
    assert document["runcmd"] == [
        f"{delivery_command(if_none=True)} </usr/local/lib/mig-k8s/release.cloud-init",
        ["rm", "-f", "/usr/local/lib/mig-k8s/release.cloud-init"],
        ["systemctl", "start", "--no-block", "mig-k8s-converge.service"],
    ]


def test_user_data_is_the_same_every_time(planned: Planned) -> None:
    """Gzip with neither time nor name."""
    node = planned().nodes[0]
    assert _packed(node) == _packed(node)
    assert _packed(node)[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_user_data_too_large_for_azure_is_refused_with_its_size() -> None:
    """65,535 bytes, and what of it the author can shorten."""
    sections = minimal(rke2={"config": {f"key-{number}": sha256(b"%d" % number).hexdigest() for number in range(1999)}})
    settings = read_settings(sections, location="westeurope", secrets=SECRETS)
    with pytest.raises(Problems) as caught:
        _user_data(plan_stack(settings).nodes[0])
    (problem,) = caught.value.problems
    assert problem.path == "mig-k8s:rke2.config"
    assert problem.what.startswith("the user-data of mlops-k8s-master is ")
    assert problem.allowed == "Azure takes at most 65535 bytes"


def test_an_incomplete_checkout_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is missing, before anything is made."""
    monkeypatch.setattr("plan.machine.release._REPOSITORY", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"this checkout lacks machine/__main__.py, cloud-init/stages, "):
        release()


def test_every_file_that_a_stage_reads_is_in_the_release() -> None:
    """A name that the release does not know would be left out without a word."""
    here = Path(__file__).resolve().parents[2] / "cloud-init"
    named = {
        f"library/{name}"
        for stage in (here / "stages").iterdir()
        for name in re.findall(r'^source "\$library/(\S+)"$', stage.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert (
        {"library/stage.sh", "library/driver-packages.sh", "library/nvidia-smi.sh"} <= named <= set(release().contents)
    )
