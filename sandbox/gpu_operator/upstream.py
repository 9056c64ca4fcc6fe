"""A container registry somewhere else: manifests, blobs and the operator's chart, fetched as anybody may."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

from sandbox.error import SandboxError

_SECONDS = 600
_KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@dataclass(frozen=True)
class Registry:
    """``address``: host, and what stands before every name. On this machine itself it is asked without TLS."""

    address: str
    _tokens: dict[str, str] = field(default_factory=dict, compare=False)

    def problems(self, version: str) -> list[str]:  # noqa: ARG002 - only fetching tells
        return []

    def add_chart(self, version: str, charts: Path, run: Callable[[list[str]], str]) -> None:
        plain = ("--plain-http",) if self._scheme == "http" else ()
        chart = f"oci://{self.address}/gpu-operator"
        run(["pull", chart, "--version", version, "--destination", str(charts), *plain])

    def manifest(self, name: str, reference: str) -> bytes:
        return self._get(name, f"manifests/{reference}")

    def blob(self, name: str, digest: str) -> bytes:
        return self._get(name, f"blobs/{digest}")

    def _get(self, name: str, what: str) -> bytes:
        host, _, prefix = self.address.partition("/")
        url = f"{self._scheme}://{host}/v2/{prefix + '/' if prefix else ''}{name}/{what}"
        try:
            return self._read(url, name)
        except urllib.error.HTTPError as refusal:
            challenge = refusal.headers.get("WWW-Authenticate", "")
            if refusal.code != HTTPStatus.UNAUTHORIZED or not challenge.startswith("Bearer "):
                raise SandboxError(f"{url}: {refusal.code} {refusal.reason}") from None
            self._tokens[name] = self._token(dict(re.findall(r'(\w+)="([^"]*)"', challenge)))
        try:
            return self._read(url, name)
        except urllib.error.HTTPError as refusal:
            words = f"{url}: {refusal.code} {refusal.reason}, with a token that anybody gets"
            raise SandboxError(
                f"{words}. A registry with accounts is not supported: copy its images to a folder"
            ) from None

    def _read(self, url: str, name: str) -> bytes:
        headers = {"Accept": ", ".join(_KINDS)}
        if token := self._tokens.get(name):
            headers["Authorization"] = f"Bearer {token}"
        return _read(url, headers)

    def _token(self, challenge: dict[str, str]) -> str:
        asked = urlencode([(key, value) for key, value in challenge.items() if key in ("service", "scope")])
        try:
            answer = json.loads(_read(f"{challenge['realm']}?{asked}", {}))
        except (KeyError, ValueError, urllib.error.HTTPError) as error:
            raise SandboxError(f"{self.address} gives no token to who is not known: {error}") from None
        return str(answer.get("token") or answer.get("access_token"))

    @property
    def _scheme(self) -> str:
        host = self.address.partition("/")[0].rpartition(":")[0] or self.address.partition("/")[0]
        return "http" if host in ("127.0.0.1", "localhost", "[::1]") else "https"


def _read(url: str, headers: dict[str, str]) -> bytes:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_SECONDS) as answer:  # noqa: S310
            return bytes(answer.read())
    except urllib.error.HTTPError:
        raise
    except OSError as error:
        raise SandboxError(f"{url} cannot be reached: {error}") from None
