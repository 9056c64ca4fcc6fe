"""The kubernetes stand-in: when the provider is replaced, and what happens without a cluster."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import provider_pb2 as pb

from sandbox.cloud.azure_native import AzureNative
from sandbox.process import ProcessId
from sandbox.providers.kubernetes import Kubernetes
from sandbox.providers.resource_provider import Failure, NotReady
from sandbox.providers.values import UNKNOWN

RELEASE = "kubernetes:helm.sh/v3:Release"


def kubeconfig(server: str, credential: str = "t") -> str:
    return (
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        f"clusters: [{{name: k, cluster: {{server: '{server}'}}}}]\n"
        "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
        f"users: [{{name: u, user: {{token: {credential}}}}}]\n"
    )


HERE, THERE = kubeconfig("https://10.99.0.10:6443"), kubeconfig("https://10.99.0.11:6443")


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"kubeconfig": HERE, "clusterIdentifier": "a"}, {"kubeconfig": UNKNOWN, "clusterIdentifier": "a"}, []),
        ({"kubeconfig": HERE, "clusterIdentifier": "a"}, {"kubeconfig": THERE, "clusterIdentifier": "a"}, []),
        (
            {"kubeconfig": HERE, "clusterIdentifier": "a"},
            {"kubeconfig": HERE, "clusterIdentifier": "b"},
            ["clusterIdentifier"],
        ),
        ({"kubeconfig": HERE}, {"kubeconfig": HERE, "clusterIdentifier": "a"}, []),
        ({"kubeconfig": HERE}, {"kubeconfig": UNKNOWN}, ["kubeconfig"]),
        ({"kubeconfig": HERE}, {"kubeconfig": THERE}, ["kubeconfig"]),
        ({"kubeconfig": HERE}, {"kubeconfig": kubeconfig("https://10.99.0.10:6443", "rotated")}, []),
        ({"kubeconfig": "garbage"}, {"kubeconfig": HERE}, []),
    ],
)
def test_the_cluster_identifier_decides_what_is_another_cluster(
    old: dict[str, str], new: dict[str, str], replaced: list[str]
) -> None:
    assert Kubernetes().replaced_configuration(old, new) == replaced


def test_an_unreadable_kubeconfig_is_a_cluster_out_of_reach() -> None:
    provider = Kubernetes()
    provider.configure({"kubeconfig": ""})
    with pytest.raises(Failure, match=r"configured Kubernetes cluster is unreachable"):
        provider.create("kubernetes:core/v1:Namespace", "urn", {"metadata": {"name": "n"}}, 5)


def test_the_version_of_a_local_chart_is_taken_from_it(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: gpu-operator\nversion: v26.7.0\n")
    checked = Kubernetes().check(RELEASE, "r", {}, {"chart": str(tmp_path), "name": "gpu-operator"}, b"")
    assert checked["version"] == "v26.7.0"
    assert (checked["namespace"], checked["timeout"]) == ("default", 300)


def test_a_release_keeps_the_name_it_was_given_by_chance() -> None:
    first = Kubernetes().check(RELEASE, "r", {}, {"chart": "gpu-operator"}, b"one")["name"]
    assert first.startswith("r-")
    again = Kubernetes().check(RELEASE, "r", {"name": first}, {"chart": "gpu-operator"}, b"two")["name"]
    assert again == first


@pytest.mark.parametrize(
    ("token", "path", "replaced"),
    [
        (RELEASE, "name", True),
        (RELEASE, "namespace", True),
        (RELEASE, "values.mig.strategy", False),
        ("kubernetes:core/v1:Namespace", "metadata.name", True),
        ("kubernetes:core/v1:Namespace", "metadata.labels.a", False),
    ],
)
def test_names_replace_and_values_upgrade(token: str, path: str, replaced: bool) -> None:
    assert Kubernetes().replaces(token, path) is replaced


def secret(value: object) -> dict[str, object]:
    """A secret on the wire, as sdk/go/common/resource has it."""
    return {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": value}


def checked(news: dict[str, object]) -> dict[str, Any]:
    request = pb.CheckRequest(type="kubernetes:core/v1:ConfigMap", name="n", news=ParseDict(news, Struct()))
    inputs: dict[str, Any] = MessageToDict(Kubernetes().Check(request, None).inputs)
    return inputs


def test_only_kubernetes_takes_secrets_wrapped_as_only_the_real_one_does() -> None:
    """Real azure-native 2.76 answers `{"supportsPreview": true}` and 3.x says no more of secrets (provider.go)."""
    configured = Kubernetes().Configure(pb.ConfigureRequest(), None)
    assert (configured.acceptSecrets, configured.acceptOutputs, configured.acceptResources) == (True, False, False)
    configured = AzureNative().Configure(pb.ConfigureRequest(), None)
    assert (configured.acceptSecrets, configured.supportsPreview) == (False, True)


def test_a_secret_stays_one_through_check_and_only_where_it_was() -> None:
    metadata = {"name": "m", "labels": {"a": secret("x"), "b": "y"}}
    inputs = checked({"metadata": metadata, "data": secret({"k": "v"}), "list": ["open", secret("closed")]})
    assert inputs["metadata"] == metadata
    assert inputs["data"] == secret({"k": "v"})
    assert inputs["list"] == secret(["open", "closed"])


def test_a_secret_that_is_not_known_yet_stays_both() -> None:
    assert checked({"metadata": {"name": "m"}, "data": {"k": secret(UNKNOWN)}})["data"] == {"k": secret(UNKNOWN)}


def test_a_preview_of_a_release_keeps_its_secret_values_secret() -> None:
    release = {"chart": "c", "name": "n", "values": {"password": secret("p"), "replicas": 2.0}}
    request = pb.CreateRequest(type=RELEASE, preview=True, properties=ParseDict(release, Struct()))
    state = MessageToDict(Kubernetes().Create(request, None).properties)
    assert state["values"] == {"password": secret("p"), "replicas": 2.0}


def test_becoming_secret_alone_changes_nothing() -> None:
    old, new = ParseDict({"data": {"k": "v"}}, Struct()), ParseDict({"data": secret({"k": "v"})}, Struct())
    request = pb.DiffRequest(type="kubernetes:core/v1:ConfigMap", old_inputs=old, news=new)
    assert Kubernetes().Diff(request, None).changes == pb.DiffResponse.DIFF_NONE


@pytest.fixture
def helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `helm` whose `install` says that it has begun and waits for ever; it notes that it was told to stop."""
    os.mkfifo(tmp_path / "begun")
    script = f"""#!{sys.executable}
import os, pathlib, signal, sys
folder, (kubeconfig, verb) = pathlib.Path({str(tmp_path)!r}), sys.argv[2:4]
if verb == "list":
    sys.exit(print('[{{"name": "gpu-operator", "status": "failed"}}]'))
signal.signal(signal.SIGTERM, lambda *_: sys.exit("context canceled"))
(folder / "kubeconfig").write_text(pathlib.Path(kubeconfig).read_text())
(folder / "begun").write_text(str(os.getpid()))
signal.pause()
"""
    (tmp_path / "helm").write_text(script)
    (tmp_path / "helm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


INPUTS = {"name": "gpu-operator", "namespace": "gpu-operator", "chart": "c", "timeout": 300}


def test_helm_ends_with_a_provider_that_is_killed(helm: Path) -> None:
    """In reality it is part of the provider: nobody is left who could say how the release ended."""
    code = (
        "from sandbox.providers.kubernetes import Kubernetes\n"
        f"provider = Kubernetes()\nprovider.configure({{'kubeconfig': {HERE!r}}})\n"
        f"provider.create({RELEASE!r}, 'urn', {INPUTS!r}, 300)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2]) as provider:
        begun = ProcessId.of(int((helm / "begun").read_text()))
        provider.kill()
        assert begun is not None
        try:
            assert begun.wait(20), "helm went on for 20 s after its provider was killed"
        finally:
            begun.kill()
    assert (helm / "kubeconfig").read_text() == HERE
    assert [path.name for path in helm.iterdir() if "kubeconfig" in path.name] == ["kubeconfig"]


def test_helm_is_told_of_the_first_ctrl_c_and_the_release_stays_in_the_state(helm: Path) -> None:
    provider = Kubernetes()
    provider.configure({"kubeconfig": HERE})
    canceller = threading.Thread(target=lambda: (helm / "begun").read_text() and provider.Cancel(None, None))
    canceller.start()
    with pytest.raises(NotReady, match=r"was created, but failed to initialize completely: helm install: .*cancel"):
        provider.create(RELEASE, "urn", dict(INPUTS), 300)
    canceller.join(20)


def test_a_release_that_a_killed_provider_left_pending_is_refused_and_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "Error: INSTALLATION FAILED: cannot re-use a name that is still in use"
    (tmp_path / "helm").write_text(f"#!/bin/sh\n[ $3 = list ] && echo '[{{}}]' || {{ echo '{said}' >&2; exit 1; }}\n")
    (tmp_path / "helm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    provider = Kubernetes()
    provider.configure({"kubeconfig": HERE})
    with pytest.raises(Failure, match=r"cannot re-use a name that is still in use"):
        provider.create(RELEASE, "urn", dict(INPUTS), 300)
