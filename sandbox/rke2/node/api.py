"""The few requests rke2 itself makes to its API server, as system:admin."""

import http.client
import json
import ssl
from datetime import datetime
from typing import Any

from . import certificates
from .control_plane import ADMIN

_TIMEOUT = 5


class ApiError(Exception):
    """The API server cannot be reached, or answered with an error."""


def request(method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:  # noqa: ANN401
    """The decoded JSON answer; the text where it is no JSON. Raises ApiError."""
    context = ssl.create_default_context(cafile=str(certificates.AUTHORITY))
    context.load_cert_chain(ADMIN.with_suffix(".crt"), ADMIN.with_suffix(".key"))
    connection = http.client.HTTPSConnection("127.0.0.1", 6443, timeout=_TIMEOUT, context=context)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": content_type})
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise ApiError(f"{method} {path}: {error}") from None
    finally:
        connection.close()
    if response.status >= 400:
        raise ApiError(f"{method} {path}: {response.status} {text}")
    return json.loads(text) if response.headers.get_content_type() == "application/json" else text


def ready() -> bool:
    try:
        return bool(request("GET", "/readyz") == "ok")
    except ApiError:
        return False


def ensure(collection: str, content: dict[str, Any]) -> None:
    """Create the object unless one of its name is there."""
    try:
        request("POST", collection, content)
    except ApiError as error:
        if ": 409 " not in str(error):
            raise


def label_node(name: str, labels: dict[str, str]) -> None:
    body = {"metadata": {"labels": labels}}
    request("PATCH", f"/api/v1/nodes/{name}", body, "application/merge-patch+json")


def node_is_ready(name: str, since: int) -> bool:
    """Ready by a kubelet's word not older than `since` (epoch seconds): an old Ready stays for about 40 s."""
    try:
        conditions = request("GET", f"/api/v1/nodes/{name}")["status"].get("conditions", [])
    except ApiError:
        return False
    ready = next((condition for condition in conditions if condition["type"] == "Ready"), None)
    if ready is None or ready["status"] != "True":
        return False
    return datetime.fromisoformat(ready["lastHeartbeatTime"]).timestamp() >= since
