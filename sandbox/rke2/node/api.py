"""The few requests rke2 itself makes to the API server at 127.0.0.1; on an agent a proxy leads to one."""

import http.client
import json
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from . import paths

_TIMEOUT = 5


class ApiError(Exception):
    """The API server cannot be reached (`status` 0), or answered with an error."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Api:
    """Requests as the holder of `certificate` and the key beside it."""

    certificate: Path

    def request(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:  # noqa: ANN401
        """The decoded JSON answer, or its text where it is not JSON. Raises ApiError."""
        context = ssl.create_default_context(cafile=str(paths.AUTHORITY))
        connection = http.client.HTTPSConnection("127.0.0.1", 6443, timeout=_TIMEOUT, context=context)
        try:
            context.load_cert_chain(self.certificate, self.certificate.with_suffix(".key"))  # gone: it is being rotated
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": content_type})
            response = connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"{method} {path}: {error}") from None
        finally:
            connection.close()
        if response.status >= 400:
            raise ApiError(f"{method} {path}: {response.status} {text}", response.status)
        return json.loads(text) if response.headers.get_content_type() == "application/json" else text

    def ready(self) -> bool:
        try:
            return bool(self.request("GET", "/readyz") == "ok")
        except ApiError:
            return False

    def get(self, path: str) -> Any:  # noqa: ANN401
        """The object; None if there is none."""
        try:
            return self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def ensure(self, collection: str, content: dict[str, Any]) -> None:
        """Create the object unless one of its name is there."""
        try:
            self.request("POST", collection, content)
        except ApiError as error:
            if error.status != 409:
                raise

    def mark_node(self, name: str, *, labels: dict[str, str], annotations: dict[str, str]) -> None:
        body = {"metadata": {"labels": labels, "annotations": annotations}}
        self.request("PATCH", f"/api/v1/nodes/{name}", body, "application/merge-patch+json")

    def node_is_ready(self, name: str, since: int) -> bool:
        """Ready by a kubelet's word not older than `since` (epoch seconds): an old Ready stays for about 40 s."""
        try:
            conditions = self.request("GET", f"/api/v1/nodes/{name}")["status"].get("conditions", [])
        except ApiError:
            return False
        ready = next((condition for condition in conditions if condition["type"] == "Ready"), None)
        if ready is None or ready["status"] != "True":
            return False
        return datetime.fromisoformat(ready["lastHeartbeatTime"]).timestamp() >= since

    def servers(self) -> list[str]:
        """host:port of every API server that lives. Raises ApiError."""
        found = self.request("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
        addresses = {address for endpoint in found["endpoints"] or () for address in endpoint["addresses"]}
        return sorted(f"{address}:6443" for address in addresses)
