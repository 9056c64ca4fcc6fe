"""RKE2's config.yaml as one frozen value; what it leaves out is taken from the machine."""

import ipaddress
import json
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from . import paths
from .error import Rke2Error
from .join_token import JoinToken
from .keys import check

POD_BRIDGE = "cni0"
CNIS = ("calico", "canal", "cilium")
PROFILES = ("cis", "etcd")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_AUTHORITY = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:\d+)?")
_LABEL = re.compile(r"[^=\s]+=\S*")
_TAINT = re.compile(r"([^=:\s]+)(?:=([^:\s]*))?:(NoSchedule|PreferNoSchedule|NoExecute)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Taint:
    key: str
    value: str
    effect: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """`cluster_cidr` and `service_cidr` are IPv4 networks; `kubeconfig_mode` is a file mode such as 0o600.

    `server` is the URL of a server to join; `profile` "cis", "etcd" or "".
    `agent_token` is what agents join with; None: the token. `registry` is where RKE2's own images come from, or None.
    """

    node_name: str
    node_ip: str
    tls_sans: tuple[str, ...]
    labels: tuple[str, ...]
    taints: tuple[Taint, ...]
    cni: str
    cluster_cidr: ipaddress.IPv4Network
    service_cidr: ipaddress.IPv4Network
    server: str | None
    token: JoinToken | None
    agent_token: str | None
    profile: str
    protect_kernel_defaults: bool
    kubeconfig: Path
    kubeconfig_mode: int
    default_runtime: str
    kubelet_arguments: tuple[str, ...]
    registry: str | None


def read(path: Path) -> Configuration:
    """Read config.yaml; a missing file is an empty one, as for RKE2. Raises Rke2Error with everything that is wrong."""
    if any(path.with_suffix(".yaml.d").glob("*.y*ml")):
        raise Rke2Error(f"{path}.d: drop-in files are not stood in for: put everything into {path}")
    try:
        content = yaml.safe_load(path.read_text()) if path.exists() else None
    except yaml.YAMLError as error:
        raise Rke2Error(f"{path}: not YAML: {error}") from None
    if not isinstance(content or {}, dict):
        raise Rke2Error(f"{path}: expected keys with values, seen {content!r}")
    try:
        return _configuration(check(content or {}))
    except Rke2Error as error:
        raise Rke2Error(f"{path}:\n" + "\n".join(f"  {line}" for line in str(error).splitlines())) from None


def _configuration(content: dict[str, Any]) -> Configuration:
    labels = tuple(content.get("node-label", ()))
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise Rke2Error(f"node-label: expected key=value, seen {label!r}")
    cni = content.get("cni", ["canal"])
    if len(cni) != 1 or cni[0] not in CNIS:
        raise Rke2Error(f"cni: expected one of {', '.join(CNIS)}, seen {', '.join(cni)}")
    name = str(content.get("node-name") or socket.gethostname()).lower()
    if not is_node_name(name):
        raise Rke2Error(f"node-name: expected letters, digits, dots and hyphens as in a DNS name, seen {name!r}")
    profile = content.get("profile", "")
    if profile not in ("", *PROFILES):
        raise Rke2Error(f"profile: expected one of {', '.join(PROFILES)}, seen {profile}")
    protect = content.get("protect-kernel-defaults", profile == "cis")
    if profile == "cis" and not protect:
        raise Rke2Error("protect-kernel-defaults: must be true with profile: cis")
    return Configuration(
        node_name=name,
        node_ip=_address(content["node-ip"]) if "node-ip" in content else _own_address(),
        tls_sans=tuple(content.get("tls-san", ())),
        labels=labels,
        taints=tuple(_taint(text) for text in content.get("node-taint", ())),
        cni=cni[0],
        cluster_cidr=_network("cluster-cidr", content.get("cluster-cidr", "10.42.0.0/16")),
        service_cidr=_network("service-cidr", content.get("service-cidr", "10.43.0.0/16")),
        server=_server(content.get("server")),
        token=_token(content, "token"),
        agent_token=agent.password if (agent := _token(content, "agent-token")) else None,
        profile=profile,
        protect_kernel_defaults=protect,
        kubeconfig=Path(content.get("write-kubeconfig", paths.KUBECONFIG)),
        kubeconfig_mode=_mode(content.get("write-kubeconfig-mode", "0600")),
        default_runtime=content.get("default-runtime", "runc"),
        kubelet_arguments=tuple(f"--{argument.removeprefix('--')}" for argument in content.get("kubelet-arg", ())),
        registry=_registry(content.get("system-default-registry")),
    )


def is_node_name(text: str) -> bool:
    return len(text) <= 253 and _NAME.fullmatch(text) is not None


def _server(url: str | None) -> str | None:
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/"):
        raise Rke2Error(f"server: expected https://<address>:9345, seen {url!r}")
    return url.rstrip("/")


def _registry(text: str | None) -> str | None:
    if text and not _AUTHORITY.fullmatch(text):
        raise Rke2Error(f"system-default-registry: expected host or host:port, seen {text!r}")
    return text or None


def _token(content: dict[str, Any], key: str) -> JoinToken | None:
    if key in content:
        return JoinToken.parse(str(content[key]))
    if f"{key}-file" not in content:
        return None
    path = Path(content[f"{key}-file"])
    try:
        return JoinToken.parse(path.read_text().strip())
    except OSError as error:
        raise Rke2Error(f"{key}-file: cannot read {path}: {error.strerror}") from None


def _taint(text: str) -> Taint:
    match = _TAINT.fullmatch(text)
    if match is None:
        raise Rke2Error(f"node-taint: expected key=value:NoSchedule (or PreferNoSchedule, NoExecute), seen {text!r}")
    return Taint(key=match[1], value=match[2] or "", effect=match[3])


def _mode(text: str | int) -> int:
    if not re.fullmatch(r"0?[0-7]{3}", str(text)):
        raise Rke2Error(f'write-kubeconfig-mode: expected a file mode in quotes such as "0600", seen {text!r}')
    return int(str(text), 8)


def _network(key: str, text: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise Rke2Error(f"{key}: expected an IPv4 network such as 10.42.0.0/16: {error}") from None


def _address(given: list[str]) -> str:
    try:
        return str(ipaddress.IPv4Address(given[0] if len(given) == 1 else ", ".join(given)))
    except ValueError as error:
        raise Rke2Error(f"node-ip: expected one IPv4 address: {error}") from None


def own_addresses() -> list[str]:
    """The IPv4 addresses other machines can reach this one by; not the pods' bridge, which comes with the first pod."""
    shown = subprocess.run(["ip", "-json", "-4", "address", "show", "scope", "global"], capture_output=True, check=True)
    links = [link for link in json.loads(shown.stdout) if link.get("ifname") != POD_BRIDGE]
    return [str(address["local"]) for link in links for address in link["addr_info"]]


def _own_address() -> str:
    """The first one: a sandbox machine has no default route to follow."""
    addresses = own_addresses()
    if not addresses:
        raise Rke2Error("node-ip: this machine has no IPv4 address but loopback's: give one")
    return addresses[0]
