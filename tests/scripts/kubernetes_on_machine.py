"""An API server for the scripts: a kubectl that reads and changes objects in a folder, and starts pods."""

import fcntl
import json
from typing import Any

from scripted_machine import Machine

# Written in Python because it keeps objects. `reactions.json` says what happens to a pod of a given name.
KUBECTL = '''#!/usr/bin/env -S python3 -I -S
import fcntl, json, os, sys
from pathlib import Path

state = Path(os.environ["STATE"])
lock = (state / "lock").open("w")
fcntl.flock(lock, fcntl.LOCK_EX)  # one request after the other, also those of a run that was killed
arguments = sys.argv[1:]
with (state / "calls").open("a") as calls:
    calls.write("kubectl " + " ".join(arguments[3:]) + "\\n")
assert arguments[0] == "--kubeconfig" and arguments[2].startswith("--request-timeout"), arguments
words = arguments[3:]
if (state / "api-is-down").exists():
    sys.exit("The connection to the server 127.0.0.1:6443 was refused")
objects = json.loads((state / "objects.json").read_text())
reactions = objects["reactions"]

def option(name):
    return words[words.index(name) + 1] if name in words else None

def save():
    (state / "objects.new").write_text(json.dumps(objects))
    (state / "objects.new").replace(state / "objects.json")

def labels(pod):
    return pod["metadata"].get("labels", {})

def operator():
    """DaemonSet pods are there when their deploy label is true."""
    for node in objects["nodes"]:
        for label, app in objects["daemons"].items():
            name = app + "-" + node["metadata"]["name"]
            there = [pod for pod in objects["pods"] if pod["metadata"]["name"] == name]
            if node["metadata"]["labels"].get(label) == "true" and not there:
                metadata = {"name": name, "namespace": "gpu-operator", "uid": name, "labels": {"app": app}}
                spec = {"nodeName": node["metadata"]["name"]}
                objects["pods"].append({"metadata": metadata, "spec": spec, "status": {"phase": "Running"}})
            elif node["metadata"]["labels"].get(label) != "true" and there and not objects["daemons_stay"]:
                objects["pods"].remove(there[0])

operator()
if words[0] == "get" and words[1] == "nodes":
    selector = option("--field-selector") or next((w for w in words if "--field-selector=" in w), None)
    if arguments[1].endswith("kubelet.kubeconfig") and selector is None:
        sys.exit("Error from server (Forbidden): node 'agent' cannot read all nodes, only its own Node object")
    named = selector and selector.partition("metadata.name=")[2]
    print(json.dumps({"items": [node for node in objects["nodes"] if named in (None, node["metadata"]["name"])]}))
elif words[0] == "get" and words[1] == "pods":
    found = objects["pods"]
    namespace, selector = option("-n"), option("-l")
    if namespace:
        found = [pod for pod in found if pod["metadata"]["namespace"] == namespace]
    if selector:
        found = [pod for pod in found if labels(pod).get(selector.split("=")[0]) == selector.split("=")[1]]
    for word in words:
        if word.startswith("--field-selector=spec.nodeName="):
            found = [pod for pod in found if pod["spec"].get("nodeName") == word.split("=")[2]]
    print(json.dumps({"items": found}))
elif words[0] == "label":
    node = next(node for node in objects["nodes"] if node["metadata"]["name"] == words[2])
    for pair in words[4:]:
        key, _, value = pair.partition("=")
        node["metadata"]["labels"][key] = value
    operator()
elif words[:2] == ["create", "--raw"]:
    eviction = json.load(sys.stdin)
    assert (eviction["apiVersion"], eviction["kind"]) == ("policy/v1", "Eviction"), eviction
    name, options = eviction["metadata"]["name"], eviction["deleteOptions"]
    assert words[2] == "/api/v1/namespaces/" + eviction["metadata"]["namespace"] + "/pods/" + name + "/eviction"
    there = [pod for pod in objects["pods"] if pod["metadata"]["name"] == name]
    if not there:
        sys.exit(f'Error from server (NotFound): pods "{name}" not found')
    if there[0]["metadata"]["uid"] != options["preconditions"]["uid"]:
        sys.exit("Error from server (Conflict): the UID in the precondition does not match the UID in record")
    if name in objects["budgets"]:
        # The log that -v=8 adds, and the error as it stands without.
        cause = f"The disruption budget {objects['budgets'][name]} needs 1 healthy pods and has 1 currently"
        if "-v=8" in words:
            print("I1123 round_trippers.go:632 Response Body: " + json.dumps({"message": cause}), file=sys.stderr)
        said = "Cannot evict pod as it would violate the pod's disruption budget."
        sys.exit("Error from server (TooManyRequests): " + said)
    assert options["gracePeriodSeconds"] == max(1, there[0]["spec"].get("terminationGracePeriodSeconds", 30)), options
    if options.get("dryRun") != ["All"]:
        objects["pods"] = [pod for pod in objects["pods"] if pod["metadata"]["name"] != name]
        if name in objects["owned"]:
            again = json.loads(json.dumps(there[0]))
            again["metadata"]["uid"] += "-again"
            objects["pods"].append(again)
elif words[0] == "create":
    manifest = json.load(sys.stdin)
    for item in manifest.get("items", [manifest]):
        if item["kind"] == "Namespace":
            if any(namespace["metadata"]["name"] == item["metadata"]["name"] for namespace in objects["namespaces"]):
                sys.exit("namespaces already exists")
            objects["namespaces"].append(item)
            continue
        name = item["metadata"]["name"]
        reaction = reactions.get(name, {})
        item["metadata"]["namespace"] = option("-n")
        item["status"] = reaction.get("status", {"phase": "Running"})
        item["log"] = reaction.get("log", "")
        objects["pods"].append(item)
elif words[0] == "logs":
    print(next(pod for pod in objects["pods"] if pod["metadata"]["name"] == words[3])["log"], end="")
elif words[0] == "delete" and words[1] == "pod":
    objects["pods"] = [pod for pod in objects["pods"] if pod["metadata"]["name"] != words[4]]
elif words[:3] == ["delete", "pods", "--all"]:
    objects["pods"] = [pod for pod in objects["pods"] if pod["metadata"]["namespace"] != option("-n")]
elif words[0] == "delete" and words[1] == "namespace":
    if objects.get("namespace_stays"):
        sys.exit("timed out waiting for the condition")
    objects["namespaces"] = [n for n in objects["namespaces"] if n["metadata"]["name"] != words[2]]
    objects["pods"] = [pod for pod in objects["pods"] if pod["metadata"]["namespace"] != words[2]]
else:
    sys.exit("kubectl stub: " + " ".join(words))
save()
'''

DAEMONS = {
    "nvidia.com/gpu.deploy.device-plugin": "nvidia-device-plugin-daemonset",
    "nvidia.com/gpu.deploy.gpu-feature-discovery": "gpu-feature-discovery",
    "nvidia.com/gpu.deploy.dcgm-exporter": "nvidia-dcgm-exporter",
}


class Cluster:
    """The objects kubectl sees."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        path = machine.write("var/lib/rancher/rke2/bin/kubectl", KUBECTL, 0o755)
        assert path.exists()
        machine.write("etc/rancher/rke2/rke2.yaml", "apiVersion: v1\n", 0o600)
        self.path = machine.state / "objects.json"
        self.change(
            nodes=[],
            pods=[],
            namespaces=[],
            reactions={},
            budgets={},
            owned=[],
            daemons=DAEMONS,
            daemons_stay=False,
            namespace_stays=False,
        )

    def objects(self) -> dict[str, Any]:
        return dict(json.loads(self.path.read_text(encoding="utf-8")))

    def change(self, **objects: object) -> None:
        with (self.machine.state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.objects() if self.path.exists() else {}
            self.path.write_text(json.dumps({**before, **objects}), encoding="utf-8")

    def labels(self) -> dict[str, str]:
        return dict(self.objects()["nodes"][0]["metadata"]["labels"])


def node(
    name: str, boot_id: str, allocatable: dict[str, str], labels: dict[str, str], *, ready: str = "True"
) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready, "message": "kubelet is posting ready status"}]
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": allocatable, "conditions": conditions, "nodeInfo": {"bootID": boot_id}},
    }


def pod(name: str, node_name: str, uid: str, phase: str = "Running") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "work", "uid": uid}
    return {"metadata": metadata, "spec": {"nodeName": node_name}, "status": {"phase": phase}}
