"""The user-data of every stack is a cloud-config that cloud-init and Azure take.

No package carries cloud-init's own schema, so the keys this project uses are written down next to this file. Where
cloud-init is installed, it is asked too.
"""

import base64
import bz2
import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from recording import Graph
from stacks import CLUSTER, REPOSITORY, STACKS, Program

SCHEMA = json.loads((Path(__file__).parent / "cloud-config.schema.json").read_text(encoding="utf-8"))
SOUND: dict[str, Any] = {
    "ssh_deletekeys": True,
    "ssh_keys": {
        "ed25519_private": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        "ed25519_public": "ssh-ed25519 AAAA",
    },
    "write_files": [{"path": "/etc/a", "permissions": "0600", "content": "a"}],
    "runcmd": ["true <a", ["true"]],
}


def faults(document: bytes) -> list[str]:
    """What the schema finds. libyaml is eight times as fast as cloud-init's loader: see the test of the units."""
    found = jsonschema.Draft7Validator(SCHEMA).iter_errors(yaml.load(document, yaml.CSafeLoader))
    return [f"{fault.json_path}: {fault.message[-160:]}" for fault in found]


def documents(graph: Graph) -> list[bytes]:
    return [gzip.decompress(packed) for packed in packed_documents(graph)]


def packed_documents(graph: Graph) -> list[bytes]:
    return [base64.b64decode(vm.plain("osProfile", "customData")) for vm in graph.of("VirtualMachine")]


@pytest.mark.parametrize("path", STACKS)
def test_the_user_data_of_every_stack_is_a_cloud_config(program: Program, path: str) -> None:
    for document in documents(program(path)):
        assert document.startswith(b"#cloud-config\n")
        assert faults(document) == []


def test_servers_and_agents_of_a_cluster_have_one_too(program: Program) -> None:
    found = documents(program(nodePools=CLUSTER, mig={"strategy": "single"}))
    assert len(found) == 3
    for document in found:
        assert faults(document) == []


@pytest.mark.parametrize("path", STACKS)
def test_azure_takes_its_size(program: Program, path: str) -> None:
    for document in packed_documents(program(path)):
        assert len(document) <= 65_535
        assert len(base64.b64encode(document)) <= 87_380


def test_the_units_and_entry_points_are_those_of_the_repository(program: Program) -> None:
    (document,) = documents(program())
    read = yaml.safe_load(document)  # the loader of cloud-init
    assert read == yaml.load(document, yaml.CSafeLoader)
    written = {entry["path"]: entry["content"] for entry in read["write_files"]}
    packed = base64.b64decode(written["/usr/local/lib/mig-k8s/release.cloud-init"])
    parts = bz2.decompress(packed).decode().split("\0")
    files = dict(zip(parts[::3], parts[2::3], strict=True))
    for folder in ("units", "entry-points"):
        for path in sorted((REPOSITORY / "cloud-init" / folder).iterdir()):
            assert files[f"{folder}/{path.name}"] == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "broken",
    [
        {"write_file": SOUND["write_files"]},
        {"write_files": [{**SOUND["write_files"][0], "permissons": "0600"}]},
        {"write_files": [{**SOUND["write_files"][0], "permissions": 384}]},
        {"runcmd": "true"},
        {"ssh_genkeytypes": []},
    ],
    ids=["unknown key", "misspelt permissions", "permissions as a number", "runcmd as text", "empty list of key types"],
)
def test_the_schema_refuses_what_cloud_init_would_ignore_or_warn_about(broken: dict[str, Any]) -> None:
    jsonschema.validate(SOUND, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**SOUND, **broken}, SCHEMA)


@pytest.mark.skipif(shutil.which("cloud-init") is None, reason="this machine has no cloud-init")
def test_cloud_init_itself_finds_nothing_to_say(program: Program, tmp_path: Path) -> None:
    (document,) = documents(program())
    path = tmp_path / "user-data"
    path.write_bytes(document)
    checked = subprocess.run(
        ["cloud-init", "schema", "--config-file", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stderr
