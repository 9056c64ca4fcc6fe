"""What answers in the place of a machine's programs, and of kubectl and Helm: each notes what it was asked.

    python stack_programs.py machine DIRECTORY [timeout -k 10 N] COMMAND…
    python stack_programs.py kubectl|helm DIRECTORY --kubeconfig FILE VERB…

A cluster is known by the token in its kubeconfig, which every machine has of its own: a machine made anew has an empty
one. Helm refuses as the real one does: a name that is taken, and an upgrade of what was never installed.
"""

import base64
import gzip
import json
import sys
from pathlib import Path
from typing import NoReturn

import yaml
from held import hold

REPORT = {"version": 1, "passed": True, "started": "2026-11-26T15:00:00Z", "seconds": 1.0, "checks": [], "devices": []}


def machine(directory: Path, words: list[str]) -> None:
    command = words[4:] if words[:1] == ["timeout"] else words
    stdin = sys.stdin.read()
    asked = {"command": command, "stdin": len(stdin)}
    if command[1:] == ["remove-node"]:
        # Kept beside the machines: this one may be the one that leaves.
        there = [json.loads(file.read_text())["name"] for file in directory.parent.glob("*/machine.json")]
        on = json.loads((directory / "machine.json").read_text())["name"]
        with (directory.parent.parent / "removals").open("a") as notes:
            notes.write(json.dumps({"node": json.loads(stdin)["node"], "on": on, "there": sorted(there)}) + "\n")
    if command[1:2] == ["update"]:
        (directory / "host-keys.json").write_text(json.dumps(json.loads(stdin).get("hostKeys", [])))
    with (directory / "commands").open("a") as notes:
        notes.write(json.dumps(asked) + "\n")
    if command == ["cat", "/etc/rancher/rke2/rke2.yaml"]:
        cluster = {"name": "default", "cluster": {"server": "https://127.0.0.1:6443"}}
        user = {"name": "default", "user": {"token": directory.name}}
        context = {"name": "default", "context": {"cluster": "default", "user": "default"}}
        lists = {"clusters": [cluster], "users": [user], "contexts": [context]}
        print(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "default", **lists}))
    elif command == ["/usr/local/sbin/mig-k8s", "verify"]:
        away = [f"FAILED machine on {node['name']}" for node in json.loads(stdin)["nodes"] if node["away"]]
        if away:
            _refuse("\n".join(away))
        print(json.dumps(REPORT))
    elif command[0].endswith("/kubectl"):
        revisions(directory.parent.parent / "clusters" / directory.name, command, stdin)
    else:
        print("{}")
    sys.stdout.flush()
    if command[0] != "/var/lib/rancher/rke2/bin/kubectl":
        hold(directory.parent.parent, f"run {' '.join(command[:2])[:60]} on {directory.name}")


def revisions(cluster: Path, words: list[str], stdin: str) -> None:
    """Helm's own records as kubectl on a server lists, shows, writes and deletes them."""
    releases = _read(cluster, "releases")
    (release,) = releases or [""]
    its = releases.get(release, [])
    prefix = f"sh.helm.release.v1.{release}.v"
    if "secrets" in words:
        for number, revision in enumerate(its, 1):
            print(f"{number} {revision['status']} gpu-operator {prefix}{number}")
    elif "get" in words:
        (name,) = (word for word in words if word.startswith(prefix))
        note = {"info": {"status": its[int(name.removeprefix(prefix)) - 1]["status"]}}
        packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(note).encode()))).decode()
        print(json.dumps({"metadata": {"name": name, "labels": {}}, "data": {"release": packed}}))
    elif "replace" in words:
        secret = json.loads(stdin)
        note = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
        assert note["info"]["status"] == secret["metadata"]["labels"]["status"]
        its[int(secret["metadata"]["name"].removeprefix(prefix)) - 1]["status"] = note["info"]["status"]
        _write(cluster, "releases", releases)
    elif "delete" in words:
        assert words[-1] == f"{prefix}{len(its)}"
        _write(cluster, "releases", {release: its[:-1]} if its[:-1] else {})


def kubectl(cluster: Path, words: list[str]) -> None:
    if words[0] == "apply":
        thing = json.loads(sys.stdin.read())
        objects = _read(cluster, "objects")
        objects[f"{thing['kind']}/{thing['metadata']['name']}"] = thing
        _write(cluster, "objects", objects)
        print(json.dumps(thing | {"status": {"phase": "Active"}}), flush=True)
        hold(cluster.parent.parent, f"apply {thing['metadata']['name']}")
    elif words[0] == "get":
        found = f"{words[1].capitalize()}/{words[2]}" in _read(cluster, "objects")
        print(f"{words[1].lower()}/{words[2]}" if found else "")
    else:
        _refuse(f"not asked in this life: kubectl {' '.join(words)}")


def helm(cluster: Path, words: list[str]) -> None:
    releases, verb = _read(cluster, "releases"), words[0]
    if verb == "show":
        print(yaml.safe_dump({"apiVersion": "v2", "name": "gpu-operator", "version": "v26.7.0"}))
    elif verb == "list":
        wanted = words[words.index("--filter") + 1].strip("^$")
        print(json.dumps([{"name": name} for name in releases if name == wanted]))
    elif verb == "upgrade" and releases.get(words[1], [{}])[-1].get("status", "").startswith("pending-"):
        _refuse("Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress")
    elif verb == "install" and words[1] in releases:
        _refuse("Error: INSTALLATION FAILED: cannot re-use a name that is still in use")
    elif verb == "upgrade" and words[1] not in releases:
        _refuse(f'Error: UPGRADE FAILED: "{words[1]}" has no deployed releases')
    elif verb in ("install", "upgrade"):
        revision = {"values": json.loads(sys.stdin.read()), "status": f"pending-{verb}"}
        before = releases.get(words[1], [])
        _write(cluster, "releases", {**releases, words[1]: [*before, revision]})
        hold(cluster.parent.parent, f"{verb} {words[1]}")
        _write(cluster, "releases", {**releases, words[1]: [*before, revision | {"status": "deployed"}]})
    else:
        _refuse(f"not asked in this life: helm {' '.join(words)}")


def _read(cluster: Path, name: str) -> dict:  # type: ignore[type-arg]
    file = cluster / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {}


def _write(cluster: Path, name: str, content: object) -> None:
    cluster.mkdir(parents=True, exist_ok=True)
    (cluster / f"{name}.json").write_text(json.dumps(content))


def _refuse(why: str) -> NoReturn:
    sys.exit(why)


if __name__ == "__main__":
    program, directory, *words = sys.argv[1:]
    if program == "machine":
        machine(Path(directory), words)
    else:
        (user,) = yaml.safe_load(Path(words[1]).read_text())["users"]
        {"kubectl": kubectl, "helm": helm}[program](Path(directory) / user["user"]["token"], words[2:])
