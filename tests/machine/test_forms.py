"""The documents that cross to a machine: written and read alike, and refused with words that say where."""

import json

import pytest

from machine.documents.configuration import Configuration
from machine.documents.desired_state import DesiredState
from machine.documents.expectations import Expectations
from machine.documents.form import Document, DocumentError
from machine.documents.gpu_report import GpuReport
from machine.documents.layout import GpuLayout, Layout, Place
from machine.documents.mig_manager_layout import MigManagerLayout
from machine.documents.node_removal import NodeRemoval
from machine.documents.result import Result
from machine.documents.verification_report import VerificationReport

DESIRED_STATE = """{
  "version": 1,
  "node": {"name": "mlops-k8s-master"},
  "apt": {"ubuntu": null},
  "driver": {"source": "ubuntu", "branch": 580, "openKernelModules": false, "update": ""},
  "toolkit": {"version": "1.20.0-1", "apt": "https://nvidia.github.io/libnvidia-container",
              "deviceListFromEnvironment": true},
  "mig": {"mode": [true], "onChange": "refuse"},
  "rke2": {"version": "v1.35.7+rke2r1", "artifacts": null, "sha256": null, "role": "server",
           "cis": false, "gpu": true, "podsReachMetadata": true,
           "imageArchives": ["https://mirror.example/images.tar#0123"]},
  "fabricManager": {"source": "ubuntu", "branch": 580},
  "pods": {"onChange": "drain", "namespaces": ["kube-system"]}
}"""
NODE_REMOVAL = """{
  "version": 1, "node": "gpu-1", "onChange": "drain", "namespaces": ["kube-system", "gpu-operator"], "comesBack": true
}"""
LAYOUT = """{
  "version": 1,
  "gpus": [{"index": 0, "mode": true, "instances": [{"profile": "3g.40gb", "start": 4}]}],
  "onChange": "refuse"
}"""
EXPECTATIONS = """{
  "version": 1, "image": "example.org/cuda:1", "timeoutSeconds": 600, "namespace": "mig-k8s-verify",
  "nodes": [{"name": "mlops-k8s-master", "allocatable": {"nvidia.com/mig-3g.40gb": 1},
             "labels": {"nvidia.com/mig.strategy": "mixed"},
             "devices": [{"pod": "mig-mixed-3g-40gb-0", "resource": "nvidia.com/mig-3g.40gb", "profile": "3g.40gb",
                          "compute": true, "replicas": 1}],
             "away": {"seen": "deallocated", "remedy": "Start it."}}],
  "operatorNamespace": "gpu-operator", "rke2Version": "v1.36.4+rke2r1", "deviceListFromEnvironment": true
}"""
GPU_REPORT = """{
  "version": 1, "applied": true, "changed": true,
  "gpus": [{"index": 0, "outcome": "changed", "reason": "", "mode": true, "kept": ["1g.10gb at 0"], "removed": [],
            "created": ["3g.40gb at 4"], "restored": null, "commands": ["nvidia-smi mig -i 0 -cgi 9:4 -C"],
            "instances": [{"id": 2, "profile": "3g.40gb", "start": 4, "uuids": ["MIG-40ed9496"]}],
            "pods": ["work/notebook (2g.20gb at 0)"]}],
  "warnings": ["WARNING: infoROM is corrupted at gpu 0001:00:00.0"]
}"""
VERIFICATION = """{
  "version": 1, "passed": false, "started": "2026-11-26T09:30:00Z", "seconds": 12.5,
  "checks": [{"name": "ready", "node": "mlops-k8s-master", "expected": "ready", "seen": "not ready", "remedy": "wait",
              "passed": false}],
  "devices": [{"node": "mlops-k8s-master", "pod": "work/p", "profile": null, "uuid": null,
               "gpu": null, "resource": "nvidia.com/gpu", "proof": "in use by work/p"}],
  "warnings": ["WARNING: infoROM is corrupted at gpu 0001:00:00.0"],
  "ending": ["the certificate of the kubelet on gpu has ended."],
  "snapshot": "the newest snapshot that RKE2 saved by itself is 14 h old", "overdue": "it is 14 h old, though …"
}"""
RESULT = """{
  "version": 1, "bootId": "11111111-1111-1111-1111-111111111111", "state": "done",
  "stages": [{"name": "driver", "inputs": "abc", "started": "2026-11-26T09:30:00Z", "ended": "2026-11-26T09:31:00Z",
              "outcome": "done", "reason": "nvidia 580.159.04", "bootId": "11111111-1111-1111-1111-111111111111",
              "seconds": 60.0,
              "worked": {"started": "2026-11-26T09:30:00Z", "ended": "2026-11-26T09:31:00Z", "seconds": 60.0,
                         "outcome": "done", "bootId": "11111111-1111-1111-1111-111111111111"}}],
  "reboots": {"mig-mode": {"wanted": "abc", "bootId": "11111111-1111-1111-1111-111111111111"}}
}"""


def _inner(text: str) -> dict[str, object]:
    """A document as a part of another one: without its version."""
    return {key: value for key, value in json.loads(text).items() if key != "version"}


CONFIGURATION = json.dumps(
    {
        "version": 1,
        "desiredState": _inner(DESIRED_STATE),
        "rke2Config": "cni: calico\n",
        "rke2Token": "t",
        "rke2AgentToken": "a",
        "nodePassword": None,
        "administrator": {"user": "azureuser", "keys": ["ssh-ed25519 AAAA me@home"]},
        "hostKeys": ["-----BEGIN EC PRIVATE KEY-----\n"],
    }
)
MIG_MANAGER = json.dumps(
    {
        "version": 1,
        "config": "mig-k8s-gpu-1234",
        "configMap": "mig-k8s-abcd",
        "namespace": "gpu-operator",
        "seconds": 1800,
        "node": "gpu",
        "layout": _inner(LAYOUT),
    }
)
EVERY = [
    (DesiredState, DESIRED_STATE),
    (Layout, LAYOUT),
    (Expectations, EXPECTATIONS),
    (GpuReport, GPU_REPORT),
    (VerificationReport, VERIFICATION),
    (Result, RESULT),
    (Configuration, CONFIGURATION),
    (MigManagerLayout, MIG_MANAGER),
    (NodeRemoval, NODE_REMOVAL),
]


@pytest.mark.parametrize(("document", "text"), EVERY, ids=lambda value: getattr(value, "__name__", ""))
def test_each_document_reads_its_json_and_writes_the_same(document: type[Document], text: str) -> None:
    assert json.loads(document.from_json(text).to_json()) == json.loads(text)


@pytest.mark.parametrize(("document", "text"), EVERY, ids=lambda value: getattr(value, "__name__", ""))
def test_each_document_refuses_another_version_and_an_unknown_key_in_words(document: type[Document], text: str) -> None:
    data = json.loads(text)
    with pytest.raises(DocumentError, match=r"has version 2, this release of mig-k8s understands 1: `pulumi up`"):
        document.from_json(json.dumps({**data, "version": 2}))
    with pytest.raises(DocumentError, match=r"this release of mig-k8s does not know colour: `pulumi up`"):
        document.from_json(json.dumps({**data, "colour": "blue"}))


def test_a_layout_is_what_its_json_says() -> None:
    assert Layout.from_json(LAYOUT) == Layout(gpus=(GpuLayout(0, True, (Place("3g.40gb", 4),)),))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the layout is not JSON"),
        ("[]", "the layout has no version"),
        ('{"version": true, "gpus": []}', "the layout has no version"),
        ('{"version": 1}', "the layout: gpus is missing"),
        ('{"version": 1, "gpus": {}}', "the layout: gpus: a list is expected"),
        ('{"version": 1, "gpus": [1]}', "the layout: gpus[0]: an object is expected"),
        ('{"version": 1, "gpus": [{"index": "0", "mode": true}]}', "the layout: gpus[0]: index: a whole number is"),
        ('{"version": 1, "gpus": [{"index": true, "mode": true}]}', "the layout: gpus[0]: index: a whole number is"),
        ('{"version": 1, "gpus": [{"index": 0, "mode": 1}]}', "the layout: gpus[0]: mode: true or false is expected"),
        ('{"version": 1, "gpus": [], "onChange": "hope"}', "the layout: onChange: one of refuse, drain is expected"),
        (
            '{"version": 1, "gpus": [{"index": 0, "mode": true}, {"index": 0, "mode": true}]}',
            "the layout: a GPU is named twice",
        ),
        (
            '{"version": 1, "gpus": [{"index": 1, "mode": false, "instances": [{"profile": "1g.10gb", "start": 0}]}]}',
            "the layout: gpus[0]: GPU 1 has instances without MIG mode",
        ),
    ],
)
def test_an_error_says_where_and_what_was_expected(text: str, words: str) -> None:
    with pytest.raises(DocumentError) as refused:
        Layout.from_json(text)
    assert str(refused.value).startswith(words)


def test_no_value_of_a_document_stands_in_an_error() -> None:
    secret = json.dumps({**json.loads(CONFIGURATION), "rke2Token": ["K10secret"]})
    with pytest.raises(DocumentError) as refused:
        Configuration.from_json(secret)
    assert str(refused.value) == "the configuration: rke2Token: text is expected"
    with pytest.raises(DocumentError) as refused:
        Configuration.from_json(secret[:-1])
    assert "secret" not in str(refused.value)


def test_documents_of_earlier_releases_lack_what_came_later() -> None:
    """A pod sees only its own devices unless somebody says otherwise, and nobody was warned."""
    desired, expected = json.loads(DESIRED_STATE), json.loads(EXPECTATIONS)
    del desired["toolkit"]["deviceListFromEnvironment"], expected["deviceListFromEnvironment"]
    toolkit = DesiredState.from_json(json.dumps(desired)).toolkit
    assert toolkit is not None
    assert toolkit.device_list_from_environment is False
    assert Expectations.from_json(json.dumps(expected)).device_list_from_environment is False
    for document, text in ((GpuReport, GPU_REPORT), (VerificationReport, VERIFICATION)):
        data = json.loads(text)
        del data["warnings"]
        assert json.loads(document.from_json(json.dumps(data)).to_json())["warnings"] == []


def test_keys_of_earlier_releases_are_still_understood() -> None:
    """The desired state and the expectations that the commit before this package left on machines."""
    desired = json.loads(DESIRED_STATE)
    desired["node"]["role"] = "server"
    desired["rke2"]["token"] = True
    desired["rke2"]["install"] = "https://get.rke2.io"
    assert DesiredState.from_json(json.dumps(desired)) == DesiredState.from_json(DESIRED_STATE)
    expectations = json.loads(EXPECTATIONS)
    del expectations["operatorNamespace"]
    old = Expectations.from_json(json.dumps({**expectations, "strategy": "mixed"}))
    assert old == Expectations.from_json(EXPECTATIONS)


def test_a_gpu_counts_its_profiles_in_their_order() -> None:
    gpu = GpuLayout(0, True, (Place("3g.40gb", 4), Place("1g.10gb", 0), Place("1g.10gb", 1)))
    assert gpu.profiles == {"3g.40gb": 1, "1g.10gb": 2}
