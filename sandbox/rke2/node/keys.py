"""The keys of config.yaml: what this stand-in does with each, and its type (docs.rke2.io, server reference)."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from .error import Rke2Error


class Kind(Enum):
    TEXT = "a text"
    TEXTS = "a text or a list of texts"
    FLAG = "true or false"
    NUMBER = "a number"


class Effect(Enum):
    HONOURED = "honoured"
    NONE = "accepted; concerns something a sandbox machine does not run (kube-proxy, DNS, ingress, snapshots …)"
    REFUSED = "a key of RKE2's that is not stood in for"


@dataclass(frozen=True, slots=True)
class Key:
    kind: Kind
    effect: Effect = Effect.HONOURED


_NO_EFFECT = {
    "debug": Kind.FLAG,
    "disable": Kind.TEXTS,
    "disable-cloud-controller": Kind.FLAG,
    "disable-kube-proxy": Kind.FLAG,
    "cluster-dns": Kind.TEXTS,
    "ingress-controller": Kind.TEXTS,
    "etcd-disable-snapshots": Kind.FLAG,
    "etcd-expose-metrics": Kind.FLAG,
    "etcd-snapshot-retention": Kind.NUMBER,
    "etcd-snapshot-schedule-cron": Kind.TEXT,
    "kube-proxy-arg": Kind.TEXTS,
    "node-external-ip": Kind.TEXTS,
    "selinux": Kind.FLAG,
    "supervisor-metrics": Kind.FLAG,
    "tls-san-security": Kind.FLAG,
}
_REFUSED = {
    "advertise-address": Kind.TEXT,
    "audit-policy-file": Kind.TEXT,
    "bind-address": Kind.TEXT,
    "cloud-provider-config": Kind.TEXT,
    "cloud-provider-name": Kind.TEXT,
    "cluster-domain": Kind.TEXT,
    "cluster-reset": Kind.FLAG,
    "container-runtime-endpoint": Kind.TEXT,
    "data-dir": Kind.TEXT,
    "datastore-endpoint": Kind.TEXT,
    "disable-apiserver": Kind.FLAG,
    "disable-etcd": Kind.FLAG,
    "disable-scheduler": Kind.FLAG,
    "disable-controller-manager": Kind.FLAG,
    "embedded-registry": Kind.FLAG,
    "egress-selector-mode": Kind.TEXT,
    "etcd-arg": Kind.TEXTS,
    "etcd-s3": Kind.FLAG,
    "kube-apiserver-arg": Kind.TEXTS,
    "kube-controller-manager-arg": Kind.TEXTS,
    "kube-scheduler-arg": Kind.TEXTS,
    "lb-server-port": Kind.NUMBER,
    "pod-security-admission-config-file": Kind.TEXT,
    "private-registry": Kind.TEXT,
    "resolv-conf": Kind.TEXT,
    "secrets-encryption": Kind.FLAG,
    "service-node-port-range": Kind.TEXT,
    "snapshotter": Kind.TEXT,
    "write-kubeconfig-group": Kind.TEXT,
}
KEYS: dict[str, Key] = {
    "agent-token": Key(Kind.TEXT),
    "agent-token-file": Key(Kind.TEXT),
    "cluster-cidr": Key(Kind.TEXT),
    "cni": Key(Kind.TEXTS),
    "default-runtime": Key(Kind.TEXT),
    "kubelet-arg": Key(Kind.TEXTS),
    "node-ip": Key(Kind.TEXTS),
    "node-label": Key(Kind.TEXTS),
    "node-name": Key(Kind.TEXT),
    "node-taint": Key(Kind.TEXTS),
    "profile": Key(Kind.TEXT),
    "protect-kernel-defaults": Key(Kind.FLAG),
    "server": Key(Kind.TEXT),
    "service-cidr": Key(Kind.TEXT),
    "system-default-registry": Key(Kind.TEXT),
    "tls-san": Key(Kind.TEXTS),
    "token": Key(Kind.TEXT),
    "token-file": Key(Kind.TEXT),
    "write-kubeconfig": Key(Kind.TEXT),
    "write-kubeconfig-mode": Key(Kind.TEXT),
    **{name: Key(kind, Effect.NONE) for name, kind in _NO_EFFECT.items()},
    **{name: Key(kind, Effect.REFUSED) for name, kind in _REFUSED.items()},
}


def check(content: dict[Any, Any]) -> dict[str, Any]:
    """The content with every list-valued key as a list of texts. Raises Rke2Error naming all that is wrong with it."""
    problems = []
    checked: dict[str, Any] = {}
    for name, value in content.items():
        key = KEYS.get(name)
        if key is None:
            # As RKE2 does, which says it in its log and goes on.
            print(f"Unknown flag --{name} found in config.yaml, skipping", flush=True)
        elif key.effect is Effect.REFUSED and value not in (None, False, "", []):
            problems.append(f"{name}: not stood in for")
        elif not _fits(value, key.kind):
            problems.append(f"{name}: expected {key.kind.value}, seen {value!r}")
        elif key.kind is Kind.TEXTS:
            checked[name] = [str(item) for item in (value if isinstance(value, list) else [value])]
        else:
            checked[name] = value
    if problems:
        raise Rke2Error("\n".join(problems))
    return checked


def _fits(value: object, kind: Kind) -> bool:
    if kind is Kind.FLAG:
        return isinstance(value, bool)
    if kind is Kind.NUMBER:
        return isinstance(value, int) and not isinstance(value, bool)
    items = value if kind is Kind.TEXTS and isinstance(value, list) else [value]
    return all(isinstance(item, str | int) and not isinstance(item, bool) for item in items)
