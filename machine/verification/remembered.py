"""The expectations of the last verification, which the cluster remembers so that any server can repeat it."""

import json

from machine.documents import expectations
from machine.documents.expectations import Expectations
from machine.documents.form import DocumentError
from machine.host.errors import NodeError, UsageError
from machine.kubernetes.kubectl import Kubectl, RefusedError

NAMESPACE, NAME = "kube-system", "mig-k8s-expectations"
"""Of the ConfigMap. A file on the server that verifies would be an old one when the next `up` verifies on another."""
_KEY = "expectations.json"


def understood(text: str) -> Expectations:
    """Expectations that came in. Raises UsageError."""
    try:
        return Expectations.from_json(text)
    except DocumentError as error:
        raise UsageError(str(error)) from None


def remember(kubectl: Kubectl, expected: Expectations) -> str:
    """Keep them for the next time, when every machine may run. Returns why it cannot be done; empty when it is."""
    metadata = {"name": NAME, "namespace": NAMESPACE}
    data = {_KEY: expected.while_away({}).to_json()}
    body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    try:
        kubectl.change("apply", "-f", "-", stdin=body)
    except NodeError as error:
        return str(error)
    kubectl.machine.path(expectations.PATH).unlink(missing_ok=True)
    return ""


def recall(kubectl: Kubectl) -> Expectations:
    """The expectations of the last time. Raises UsageError, and AwayError where the API server does not answer."""
    try:
        found = json.loads(kubectl.read("get", "configmap", NAME, "-n", NAMESPACE, "-o", "json"))
        return understood(found["data"][_KEY])
    except RefusedError as error:
        if error.reason != "NotFound":
            raise
    except KeyError as missing:
        raise UsageError(
            f"the ConfigMap {NAMESPACE}/{NAME} has no {missing}. `pulumi up` makes it when it verifies"
        ) from None
    return _of_an_older_release(kubectl)


def _of_an_older_release(kubectl: Kubectl) -> Expectations:
    """The expectations as an older release kept them, in a file on the server that verified."""
    path = kubectl.machine.path(expectations.PATH)
    try:
        return understood(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        words = f"this cluster was not verified yet: it has no ConfigMap {NAMESPACE}/{NAME}"
        raise UsageError(f"{words}. `pulumi up` makes it when it verifies") from None
