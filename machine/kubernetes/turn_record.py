"""The record of turns: one ConfigMap, which a server makes and in which every agent enters its own turn.

An agent has no other credential than its kubelet's, which may do nothing here; a Role gives all kubelets (the group
system:nodes) this one object. Of two who write at once the API server takes one: the other looks again.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from machine.documents.form import DocumentError
from machine.documents.turns import Turns
from machine.host.errors import NodeError
from machine.kubernetes.kubectl import AwayError, Kubectl, RefusedError

NAME = "mig-k8s-turns"
NAMESPACE = "kube-system"
_KEY = "turns.json"
_SECONDS = 120
"""How long a change is tried while others write, or the API server is away."""
_METADATA = {"name": NAME, "namespace": NAMESPACE}
_RULE = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [NAME], "verbs": ["get", "update"]}
_ROLE_REF = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME}
_KUBELETS = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}


class NoRecordError(NodeError):
    """There is no record, or one that is not understood."""


@dataclass(frozen=True)
class TurnRecord:
    """The record, as whoever has this kubectl may see and change it."""

    kubectl: Kubectl

    def read(self) -> Turns:
        """Read the record. Raises NodeError."""
        return self._read()[0]

    def change(self, edit: Callable[[Turns], Turns]) -> Turns:
        """Change it by `edit`, which is called again for what others wrote meanwhile. Returns it. Raises NodeError."""
        clock = self.kubectl.machine.clock
        deadline = clock.monotonic() + _SECONDS
        while True:
            before, found = self._read()
            after = edit(before)
            if after == before:
                return after
            body = _object(after, resourceVersion=found["metadata"]["resourceVersion"])
            try:
                self.kubectl.change("replace", "--validate=false", "-f", "-", stdin=json.dumps(body))
            except (AwayError, RefusedError) as error:
                conflict = isinstance(error, RefusedError) and error.reason == "Conflict"
                if not (conflict or isinstance(error, AwayError)) or clock.monotonic() > deadline:
                    raise
                clock.sleep(0.5)
            else:
                return after

    def limit(self, agents_at_once: int) -> None:
        """On a server: make the record, or keep what is in it with another limit, and let kubelets in."""
        try:
            self.kubectl.repeat("create", "-f", "-", stdin=json.dumps(_object(Turns(agents_at_once))))
        except RefusedError as error:
            if error.reason != "AlreadyExists":
                raise
            self.change(lambda found: replace(found, agents_at_once=agents_at_once))
        for kind, more in (
            ("Role", {"rules": [_RULE]}),
            ("RoleBinding", {"subjects": [_KUBELETS], "roleRef": _ROLE_REF}),
        ):
            rights = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": _METADATA, **more}
            self.kubectl.repeat("apply", "-f", "-", stdin=json.dumps(rights))

    def forget(self, node: str) -> None:
        """The machine of this name has no turn any more. Raises NodeError."""
        self.change(lambda found: replace(found, turns={k: v for k, v in found.turns.items() if k != node}))

    def _read(self) -> tuple[Turns, dict[str, Any]]:
        try:
            found = json.loads(self.kubectl.read("get", "configmap", NAME, "-n", NAMESPACE, "-o", "json"))
            return Turns.from_json(found["data"][_KEY]), found
        except RefusedError as error:
            # Where nothing lets kubelets in, an agent is forbidden to see that there is none.
            if error.reason not in ("NotFound", "Forbidden"):
                raise
            seen = f"the cluster keeps no turns ({error})"
        except (DocumentError, KeyError) as error:
            seen = f"the ConfigMap {NAMESPACE}/{NAME} is not understood ({error})"
        raise NoRecordError(
            f'{seen}. On a server: `echo \'{{"version": 1, "agentsAtOnce": 1}}\' | sudo mig-k8s limit-turns`'
        )


def _object(turns: Turns, **more: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**_METADATA, **more}, "data": {_KEY: turns.to_json()}}
