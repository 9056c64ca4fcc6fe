"""What a machine is told before and after a change where MIG Manager makes the instances."""

import json
from pathlib import Path
from typing import Any

import pytest
from scripted_machine import CLOUD_INIT, Machine

NODE = "mlops-k8s-master"
CONFIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
TUTORIAL = {"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 1}
SEVEN = {"1g.10gb": 7}

KUBECTL = """#!/usr/bin/env -S python3 -I -S
import json, os, sys
from pathlib import Path

state = Path(os.environ["STATE"])
words = sys.argv[4:]
with (state / "calls").open("a") as calls:
    calls.write("kubectl " + " ".join(words) + "\\n")
cluster = json.loads((state / "cluster.json").read_text())
labels = cluster["labels"]
if words[:2] == ["get", "nodes"]:
    assert words[2] == "--field-selector=metadata.name=mlops-k8s-master", "an agent may read no other node"
    # MIG Manager works between two looks.
    if labels.get("nvidia.com/mig.config") == cluster["serves"] and cluster["states"]:
        labels["nvidia.com/mig.config.state"] = cluster["states"].pop(0)
    if labels.get("nvidia.com/mig.config.state") == "success" and cluster["makes"] is not None:
        (state / "devices").write_text(cluster["makes"])
    print(json.dumps({"items": [{"metadata": {"name": "mlops-k8s-master", "labels": labels}}]}))
elif words[:2] == ["get", "pods"]:
    volumes = [{"configMap": {"name": cluster["config_maps"][0]}}]
    pod = {"metadata": {}, "status": {"phase": "Running"}, "spec": {"volumes": volumes}}
    print(json.dumps({"items": [pod]}))
    cluster["config_maps"] = cluster["config_maps"][1:] or cluster["config_maps"]
elif words[0] == "label":
    assert words[1:4] == ["node", "mlops-k8s-master", "--overwrite"], words
    for change in words[4:]:
        if change.endswith("-"):
            labels.pop(change[:-1], None)
        else:
            key, _, labels[key] = change.partition("=")
else:
    sys.exit("kubectl stub: " + " ".join(words))
(state / "cluster.json").write_text(json.dumps(cluster))
"""

SMI = """
case "$1" in
  -L) cat "$STATE/devices" ;;
  *) cat "$STATE/modes" ;;
esac
"""


class Owned:
    """A machine with one GPU whose instances MIG Manager makes, and the calls of what runs on it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.script = (CLOUD_INIT / "remote/mig_owner.py").read_text(encoding="utf-8")
        self.bound("POLL_SECONDS", 0.01)
        self.layout_file = machine.write("etc/mig-k8s/layout.json", "{}")
        machine.program("nvidia-smi", SMI)
        machine.program("systemctl", "exit 4")
        self.mig_apply(0)
        self.gpu(TUTORIAL)
        self.change(labels={CONFIG: "old", STATE: "success"}, states=["success"], serves="new", config_maps=["map"])

    def mig_apply(self, status: int) -> None:
        text = f'#!/bin/sh\ncat >"$STATE/layout"\necho its reason >&2\nexit {status}\n'
        self.machine.write("usr/local/sbin/mig-apply", text, 0o755)

    def gpu(self, devices: dict[str, int], modes: str = "0, Enabled, Enabled") -> None:
        (self.machine.state / "devices").write_text(listed(devices))
        (self.machine.state / "modes").write_text(f"{modes}\n")

    def kubernetes(self) -> None:
        self.machine.write("var/lib/rancher/rke2/bin/kubectl", KUBECTL, 0o755)
        self.machine.write("etc/rancher/rke2/rke2.yaml", "apiVersion: v1\n", 0o600)

    def change(self, **cluster: object) -> None:
        path = self.machine.state / "cluster.json"
        before = json.loads(path.read_text()) if path.exists() else {"makes": None}
        path.write_text(json.dumps({**before, **cluster}))

    def labels(self) -> dict[str, str]:
        cluster = json.loads((self.machine.state / "cluster.json").read_text())
        return dict(cluster["labels"])

    def emptied(self) -> Any:  # noqa: ANN401 - what JSON holds
        path = self.machine.state / "layout"
        return json.loads(path.read_text()) if path.exists() else None

    def run(
        self, verb: str, devices: dict[str, int], *, mode: bool = True, on_change: str = "refuse"
    ) -> tuple[int, str]:
        """Exit code and the words for people."""
        gpus = [{"index": 0, "mode": mode, "profiles": devices}]
        wish = {"node": NODE, "config": "new", "onChange": on_change, "gpus": gpus, "configMap": "map", "seconds": 0}
        ended = self.machine.run("python3", "-", verb, json.dumps(wish), stdin=self.script)
        assert ended.stdout == ""
        return ended.returncode, ended.stderr

    def bound(self, name: str, seconds: float) -> None:
        """Another value for one of the script's constants."""
        lines = self.script.splitlines()
        (number,) = [number for number, line in enumerate(lines) if line.startswith(f"{name} = ")]
        lines[number] = f"{name} = {seconds}"
        self.script = "\n".join(lines) + "\n"


def listed(devices: dict[str, int]) -> str:
    names = [name for name, count in devices.items() for _ in range(count)]
    lines = [f"  MIG {name}     Device  {number}: (UUID: MIG-{number})" for number, name in enumerate(names)]
    return "\n".join(["GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-0)", *lines]) + "\n"


@pytest.fixture
def owned(tmp_path: Path) -> Owned:
    made = Owned(Machine(tmp_path))
    made.kubernetes()
    return made


def test_gpus_that_get_another_layout_are_freed_by_mig_apply_and_mig_manager_has_no_say(owned: Owned) -> None:
    code, said = owned.run("withdraw", SEVEN, on_change="drain")
    assert code == 0, said
    assert owned.emptied() == {
        "version": 1,
        "onChange": "drain",
        "gpus": [{"index": 0, "mode": True, "instances": []}],
    }
    assert owned.labels() == {}
    assert "MIG Manager has no say on mlops-k8s-master until its new layout is handed over" in said


def test_what_mig_apply_refuses_stays_as_it_is_and_the_reason_is_told(owned: Owned) -> None:
    owned.mig_apply(1)
    code, said = owned.run("withdraw", SEVEN)
    assert code == 1
    assert "its reason\nmlops-k8s-master keeps its layout: mig-apply could not free it, see above\n" in said
    assert owned.labels() == {CONFIG: "old", STATE: "success"}


def test_gpus_that_keep_their_layout_are_not_touched(owned: Owned) -> None:
    assert owned.run("withdraw", TUTORIAL) == (0, "")
    assert owned.emptied() is None
    assert owned.labels() == {CONFIG: "old", STATE: "success"}


@pytest.mark.parametrize(
    ("devices", "modes", "wanted"),
    [({}, "0, Disabled, Disabled", True), (TUTORIAL, "0, Enabled, Enabled", False), ({}, "0, Enabled, Disabled", True)],
    ids=["on", "off", "pending"],
)
def test_a_mode_that_changes_is_left_to_the_machine_but_mig_manager_has_no_say(
    owned: Owned, devices: dict[str, int], modes: str, *, wanted: bool
) -> None:
    """Or it would set the old mode again, right after the machine's reboot."""
    owned.gpu(devices, modes)
    assert owned.run("withdraw", TUTORIAL if wanted else {}, mode=wanted)[0] == 0
    assert owned.emptied() is None
    assert owned.labels() == {}


def test_a_machine_that_is_being_born_has_nothing_to_withdraw(tmp_path: Path) -> None:
    """No driver, no Kubernetes."""
    born = Owned(Machine(tmp_path))
    born.machine.program("nvidia-smi", "exit 127")
    assert born.run("withdraw", TUTORIAL) == (0, "")
    assert born.emptied() is None
    assert born.machine.calls("kubectl") == []


def test_the_hosts_instances_are_freed_too_when_the_owner_changes(owned: Owned) -> None:
    owned.change(labels={})
    assert owned.run("withdraw", SEVEN)[0] == 0
    assert owned.emptied()["gpus"] == [{"index": 0, "mode": True, "instances": []}]
    assert owned.machine.calls("kubectl label") == []


def test_a_machine_is_handed_over_by_its_label_and_the_host_forgets_its_layout(owned: Owned) -> None:
    owned.gpu({})
    owned.change(labels={}, states=["pending", "success"], makes=listed(SEVEN))
    code, said = owned.run("hand-over", SEVEN)
    assert code == 0, said
    assert owned.labels() == {CONFIG: "new", STATE: "success"}
    assert not owned.layout_file.exists()
    assert said.endswith("mlops-k8s-master has the devices of new\n")


def test_an_old_success_is_not_taken_for_the_new_one(owned: Owned) -> None:
    owned.gpu({})
    owned.change(states=["success", "pending", "success"])
    owned.bound("CHANGE_SECONDS", 0)
    code, said = owned.run("hand-over", SEVEN)
    assert code == 1
    assert "MIG Manager has not made nvidia.com/mig.config=new on mlops-k8s-master: " in said


def test_a_failure_is_told_with_the_way_out(owned: Owned) -> None:
    owned.gpu({})
    owned.change(states=["failed"])
    code, said = owned.run("hand-over", SEVEN)
    assert code == 1
    assert said.endswith(
        "MIG Manager failed at nvidia.com/mig.config=new on mlops-k8s-master: `kubectl logs -n gpu-operator"
        " -l app=nvidia-mig-manager` tells why; then `pulumi up`\n"
    )


def test_a_failure_of_an_earlier_change_is_outlasted(owned: Owned) -> None:
    owned.gpu({})
    owned.change(states=["failed", "failed", "pending", "success"], makes=listed(SEVEN))
    assert owned.run("hand-over", SEVEN)[0] == 0


def test_the_label_is_set_when_mig_manager_runs_with_the_new_configuration_only(owned: Owned) -> None:
    owned.change(config_maps=["older"])
    code, said = owned.run("hand-over", TUTORIAL)
    assert code == 1
    assert "no MIG Manager with the configuration map runs on mlops-k8s-master: " in said
    assert said.endswith("Given up after 0 s\n")
    assert owned.labels() == {CONFIG: "old", STATE: "success"}
    assert owned.layout_file.exists(), "the host's layout is forgotten when there is somebody to hand over to"


def test_a_machine_that_is_as_it_should_be_is_left_alone(owned: Owned) -> None:
    owned.change(labels={CONFIG: "new", STATE: "success"})
    assert owned.run("hand-over", TUTORIAL) == (0, "mlops-k8s-master has nvidia.com/mig.config=new already\n")
    assert owned.machine.calls("kubectl label") == []


def test_the_same_label_is_taken_off_first_because_only_a_change_counts(owned: Owned) -> None:
    owned.gpu({})
    owned.change(labels={CONFIG: "new", STATE: "failed"}, states=["failed", "success"], makes=listed(TUTORIAL))
    assert owned.run("hand-over", TUTORIAL)[0] == 0
    assert [call.split("--overwrite ")[1] for call in owned.machine.calls("kubectl label")] == [
        "nvidia.com/mig.config-",
        "nvidia.com/mig.config=new nvidia.com/mig.config.state-",
    ]


def test_without_kubernetes_there_is_nobody_to_hand_over_to(tmp_path: Path) -> None:
    code, said = Owned(Machine(tmp_path)).run("hand-over", TUTORIAL)
    assert (code, said) == (1, "there is no Kubernetes on mlops-k8s-master: `sudo mig-k8s status` there tells why\n")


def test_an_api_that_does_not_answer_is_named(owned: Owned) -> None:
    owned.bound("API_SECONDS", 0)
    owned.machine.write("var/lib/rancher/rke2/bin/kubectl", "#!/bin/sh\necho refused >&2\nexit 1\n", 0o755)
    code, said = owned.run("hand-over", TUTORIAL)
    assert code == 1
    assert said.startswith("kubectl get pods --all-namespaces -l app=nvidia-mig-manager ")
    assert said.endswith(": refused\n")
