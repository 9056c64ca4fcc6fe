"""Stand-in for pulumi-resource-kubernetes 4.34: the real kubectl and Helm on PATH against the kubeconfig.

The real one has both inside its own process, so what is started here ends when this process is killed.
"""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import empty_pb2

from sandbox.providers.resource_provider import Failure, InvalidInput, NotReady, ResourceProvider, serve
from sandbox.providers.values import UNKNOWN, Properties, has_unknown

_RELEASE = "kubernetes:helm.sh/v3:Release"
_HELM_SECONDS = 300
_GRACE_SECONDS = 60
"""Helm and kubectl keep their own time; this is how much longer they may take to say so."""
_SWITCHES = {
    "install": {"createNamespace": "--create-namespace", "atomic": "--atomic"},
    "upgrade": {"atomic": "--atomic", "cleanupOnFail": "--cleanup-on-fail"},
}
_NOT_BEGUN = (
    "cannot re-use a name that is still in use",
    "another operation (install/upgrade/rollback) is in progress",
)
"""What Helm says to a release that a killed one left pending: nothing of ours was made."""
_IDENTITY = ("metadata.name", "metadata.namespace", "kind", "apiVersion")


def _active_cluster(kubeconfig: str) -> dict[str, Any] | None:
    """The cluster of the current context; None for what is not a kubeconfig: the provider takes it as out of reach."""
    try:
        config = yaml.safe_load(kubeconfig)
        context = next(entry["context"] for entry in config["contexts"] if entry["name"] == config["current-context"])
        cluster: dict[str, Any] = next(e["cluster"] for e in config["clusters"] if e["name"] == context["cluster"])
    except (yaml.YAMLError, KeyError, TypeError, StopIteration):
        return None
    return cluster


class Kubernetes(ResourceProvider):
    """Objects by `kubectl apply`, releases by `helm install` and `helm upgrade`."""

    name = "kubernetes"
    accept_secrets = True

    def __init__(self) -> None:
        self._kubeconfig = ""
        self._running: set[subprocess.Popen[str]] = set()

    def configure(self, config: Properties) -> None:
        self._kubeconfig = config.get("kubeconfig") or ""

    def replaced_configuration(self, old: Properties, new: Properties) -> list[str]:
        before, after = old.get("clusterIdentifier"), new.get("clusterIdentifier")
        if before and before == after:
            return []
        replaced = ["clusterIdentifier"] if before and after else []  # to add or remove it replaces nothing
        old_config, new_config = old.get("kubeconfig"), new.get("kubeconfig")
        if new_config == UNKNOWN or _moved(old_config, new_config):
            replaced.append("kubeconfig")
        return replaced

    def check(self, token: str, name: str, old: Properties, new: Properties, seed: bytes) -> Properties:
        suffix = hashlib.sha256(seed).hexdigest()[:8]
        if token == _RELEASE:
            return self._check_release(f"{name}-{suffix}", old, new)
        if token.endswith("List") or ":helm" in token or ":yaml" in token:
            raise Failure(f"the sandbox does not stand in for {token}")
        metadata = new.setdefault("metadata", {})
        if not metadata.get("name"):
            metadata["name"] = (old.get("metadata") or {}).get("name") or f"{name}-{suffix}"
        return new

    def replaces(self, token: str, path: str) -> bool:
        return path in (("name", "namespace") if token == _RELEASE else _IDENTITY)

    def create(self, token: str, _urn: str, inputs: Properties, timeout: float) -> tuple[str, Properties]:
        if token == _RELEASE:
            return self._release("install", inputs)
        return self._apply(inputs, timeout)

    def update(self, token: str, _urn: str, _old: Properties, new: Properties, timeout: float) -> Properties:
        return (self._release("upgrade", new) if token == _RELEASE else self._apply(new, timeout))[1]

    def read(
        self, token: str, resource_id: str, state: Properties, inputs: Properties
    ) -> tuple[str, Properties, Properties]:
        namespace, _, name = resource_id.rpartition("/")
        if token == _RELEASE:
            listed = self._call("helm", "list", "-n", namespace, "--filter", f"^{name}$", "--all", "-o", "json")
            found = bool(json.loads(listed))
        else:
            found = bool(self._kubectl("get", state, name, namespace, "--ignore-not-found", "-o", "name"))
        return (resource_id, state, inputs) if found else ("", {}, {})

    def delete(self, token: str, _urn: str, resource_id: str, state: Properties) -> None:
        namespace, _, name = resource_id.rpartition("/")
        if token == _RELEASE:
            self._call("helm", "uninstall", name, "--wait", "--ignore-not-found", "-n", namespace)
        else:
            self._kubectl("delete", state, name, namespace, "--ignore-not-found")

    def _check_release(self, name: str, old: Properties, new: Properties) -> Properties:
        new["name"] = new.get("name") or old.get("name") or name
        new.setdefault("namespace", "default")
        new.setdefault("timeout", _HELM_SECONDS)
        # The real provider loads the chart here, in a preview too, unless something is unknown. Ours does so only once
        # there is a cluster: a preview without a sandbox has no network to ask.
        local = Path(new.get("chart") or "") / "Chart.yaml"
        if local.is_file():
            new["version"] = yaml.safe_load(local.read_text())["version"]
        elif _active_cluster(self._kubeconfig) and not has_unknown(new):
            try:
                shown = self._call("helm", "show", "chart", *_chart(new))
            except Failure as failure:
                raise InvalidInput(
                    "chart", f"{failure}; check the chart name and repository configuration"
                ) from failure
            new["version"] = yaml.safe_load(shown)["version"]
        return new

    def Cancel(self, _request: object, _context: object) -> empty_pb2.Empty:
        """The first Ctrl-C: Helm stops waiting and notes the release as failed, as inside the real provider."""
        for process in tuple(self._running):
            process.terminate()
        return empty_pb2.Empty()

    def _release(self, verb: str, inputs: Properties) -> tuple[str, Properties]:
        release = f"{inputs['namespace']}/{inputs['name']}"
        flags = ["-n", inputs["namespace"], "--timeout", f"{inputs['timeout']}s", "-f", "-"]
        flags += [flag for name, flag in _SWITCHES[verb].items() if inputs.get(name)]
        flags += [] if inputs.get("skipAwait") else ["--wait"]
        command = [verb, inputs["name"], *_chart(inputs), *flags]
        values = json.dumps(inputs.get("values") or {})
        try:
            self._call("helm", *command, stdin=values, seconds=inputs["timeout"] + _GRACE_SECONDS)
        except Failure as failure:
            untouched = inputs.get("atomic") or any(words in str(failure) for words in _NOT_BEGUN)
            if not untouched and self.read(_RELEASE, release, inputs, inputs)[0]:
                reason = f'Helm release "{release}" was created, but failed to initialize completely: {failure}'
                raise NotReady(reason, release, inputs) from failure
            raise
        named = {key: inputs.get(key) for key in ("name", "namespace", "version")}
        return release, {**inputs, "status": {**named, "status": "deployed"}}

    def _apply(self, inputs: Properties, timeout: float) -> tuple[str, Properties]:
        flags = ["--server-side", "--force-conflicts", "--field-manager=pulumi-kubernetes", "-f", "-", "-o", "json"]
        said = self._call("kubectl", "apply", *flags, stdin=json.dumps(inputs), seconds=timeout or _HELM_SECONDS)
        seen: Properties = json.loads(said)
        metadata = seen["metadata"]
        name = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
        return name, {**inputs, **seen}

    def _kubectl(self, verb: str, state: Properties, name: str, namespace: str, *flags: str) -> str:
        group, _, _ = str(state["apiVersion"]).rpartition("/")
        kind = f"{state['kind']}.{group}" if group else state["kind"]
        return self._call("kubectl", verb, kind, name, *(["-n", namespace] if namespace else []), *flags)

    def _call(self, tool: str, *arguments: str, stdin: str = "", seconds: float = _HELM_SECONDS) -> str:
        if _active_cluster(self._kubeconfig) is None:
            raise Failure("configured Kubernetes cluster is unreachable: unable to load the kubeconfig")
        if shutil.which(tool) is None:
            raise Failure(f"{tool} is not on the sandbox's PATH: was it set up?")
        kubeconfig = os.memfd_create("kubeconfig")  # no file: a killed process would leave it
        try:
            os.write(kubeconfig, self._kubeconfig.encode())
            command = [tool, "--kubeconfig", f"/proc/self/fd/{kubeconfig}", *arguments]
            status, said, errors = self._run(command, kubeconfig, stdin, seconds)
        finally:
            os.close(kubeconfig)
        if status:
            raise Failure(f"{tool} {arguments[0]}: {errors.strip()}")
        return said

    def _run(self, command: list[str], kept_open: int, stdin: str, seconds: float) -> tuple[int, str, str]:
        """(exit status, standard output, standard error) of a program that does not outlive this process."""
        with subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            pass_fds=[kept_open],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            self._running.add(process)
            try:
                said, errors = process.communicate(stdin, timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Failure(f"{command[0]} {command[3]}: no end after {seconds:.0f} s") from None
            finally:
                self._running.discard(process)
        return process.returncode, said, errors


def _moved(old: str | None, new: str | None) -> bool:
    """Whether two readable kubeconfigs name different clusters."""
    before, after = _active_cluster(old or ""), _active_cluster(new or "")
    return before is not None and after is not None and before != after


def _chart(inputs: Properties) -> list[str]:
    repository = (inputs.get("repositoryOpts") or {}).get("repo")
    return [
        inputs["chart"],
        *(["--repo", repository] if repository else []),
        *(["--version", inputs["version"]] if inputs.get("version") else []),
    ]


if __name__ == "__main__":
    serve(Kubernetes())
