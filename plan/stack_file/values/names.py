"""Names that Azure, DNS, Linux or Kubernetes would refuse, refused before anybody asks them."""

import ipaddress
import re

from plan.problems import Refusal

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_TAINT = re.compile(r"(?P<key>[^=:]+)(=(?P<value>[^=:]*))?:(?P<effect>[A-Za-z]+)")
_MOST_TAGS = 50
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

_RESERVED_USERS = frozenset({
    "1", "123", "a", "actuser", "adm", "admin", "admin1", "admin2", "administrator", "aspnet", "backup",
    "console", "david", "guest", "john", "owner", "root", "server", "sql", "support", "support_388945a0", "sys",
    "test", "test1", "test2", "test3", "user", "user1", "user2", "user3", "user4", "user5"
})  # fmt: skip
"""Administrator names that Azure refuses for a Linux machine (azure.microsoft.com FAQ on user names)."""

_SYSTEM_ACCOUNTS = frozenset({
    "_apt", "bin", "daemon", "dhcpcd", "etcd", "games", "gnats", "irc", "landscape", "list", "lp", "mail", "man",
    "messagebus", "news", "nobody", "polkitd", "pollinate", "proxy", "sshd", "sync", "syslog", "tcpdump", "tss", "uucp",
    "uuidd", "www-data"
})  # fmt: skip
"""Accounts that an Ubuntu server image, or RKE2's CIS profile, has already and nobody can log in to."""

_GROUPS = frozenset({
    "audio", "cdrom", "clock", "crontab", "dialout", "dip", "disk", "docker", "fax", "floppy", "input", "kmem", "kvm",
    "lxd", "netdev", "nogroup", "operator", "plugdev", "render", "sasl", "sgx", "shadow", "src", "staff", "sudo",
    "tape", "tty", "users", "utmp", "video", "voice"
})  # fmt: skip
"""Groups that an Ubuntu server image has, or Docker makes, without an account of the same name."""

_SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "default")


def machine_name(text: str) -> str:
    """A name that is at once Azure resource, Linux host, DNS label and Kubernetes node."""
    if not _LABEL.fullmatch(text):
        meant = re.sub(r"-+", "-", re.sub(r"[^a-z0-9]+", "-", text.lower())).strip("-")[:63].strip("-")
        raise Refusal(
            "not a machine name: it becomes host name, DNS label and Kubernetes node name",
            allowed="1 to 63 of a-z, 0-9 and -, neither beginning nor ending with -",
            remedy=f"Write {meant}." if meant else "",
        )
    return text


def namespace(text: str) -> str:
    """A Kubernetes namespace this program may own."""
    if not _LABEL.fullmatch(text):
        raise Refusal("not a Kubernetes namespace", allowed="1 to 63 of a-z, 0-9 and -, no - at either end")
    if text in _SYSTEM_NAMESPACES:
        raise Refusal(f"{text} belongs to Kubernetes", remedy="Write gpu-operator.")
    return text


def admin_username(text: str) -> str:
    """The administrator's account on the machines."""
    if text.lower() in _RESERVED_USERS:
        raise Refusal("Azure refuses this administrator name", remedy="Write azureuser.")
    if text in _SYSTEM_ACCOUNTS or text.startswith("systemd-"):
        raise Refusal("an account that the machine has already, for its own use", remedy="Write azureuser.")
    if text in _GROUPS:
        raise Refusal(
            "a group of the machine: no account of that name can be made beside it", remedy="Write azureuser."
        )
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", text):
        raise Refusal("not a Linux user name", allowed="up to 32 of a-z, 0-9, _ and -, beginning with a letter or _")
    return text


def dns_label(text: str) -> str:
    """The label in front of <location>.cloudapp.azure.com."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,61}[a-z0-9]", text):
        raise Refusal(
            "not a DNS label of a public address",
            allowed="3 to 63 of a-z, 0-9 and -, beginning with a letter, not ending with -",
        )
    return text


def subject_name(text: str) -> str:
    """A host name or IP address for the API server's certificate."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        host = text.removeprefix("*.")
        if len(text) > 253 or not _SUBDOMAIN.fullmatch(host):
            raise Refusal(
                "neither a host name nor an IP address",
                allowed="names such as k8s.example.org and addresses such as 10.0.0.4, without https:// and port",
            ) from None
    return text


def label_key(key: str) -> str:
    """The key of a label that a node may give itself at registration."""
    domain = _prefix(key)
    if domain in {"kubernetes.io", "k8s.io"} or domain.endswith((".kubernetes.io", ".k8s.io")):
        own = ("node.kubernetes.io", "kubelet.kubernetes.io")
        if not any(domain == name or domain.endswith("." + name) for name in own):
            raise Refusal(
                f"a node may not give itself labels of {domain} (the kubelet refuses to start)",
                allowed="an own prefix, or node.kubernetes.io/…",
                remedy=f"Write example.org/{key.rpartition('/')[2]}, or label the node later with kubectl.",
            )
    if domain == "nvidia.com" or domain.endswith(".nvidia.com"):
        raise Refusal("labels of nvidia.com belong to the GPU Operator", remedy="Give it a prefix of your own.")
    return key


def label_value(value: str) -> str:
    """The value of a label."""
    if value and not _LABEL_NAME.fullmatch(value):
        raise Refusal("not a label value", allowed="up to 63 of A-Z, a-z, 0-9, -, _ and .")
    return value


def node_taint(text: str) -> str:
    """A taint at registration: `key=value:Effect` or `key:Effect`."""
    match = _TAINT.fullmatch(text)
    if match is None:
        raise Refusal(
            "this is not a taint", allowed="key=value:Effect or key:Effect", remedy="Example: gpu=true:NoSchedule"
        )
    _prefix(match["key"])
    if match["value"] and not _LABEL_NAME.fullmatch(match["value"]):
        raise Refusal(f"{match['value']!r} is not a taint value", allowed="up to 63 of A-Z, a-z, 0-9, -, _ and .")
    if match["effect"] not in _EFFECTS:
        raise Refusal(f"{match['effect']} is not a taint effect", allowed=", ".join(_EFFECTS))
    return text


def taint_key_and_effect(text: str) -> tuple[str, str]:
    """What makes two taints the same to Kubernetes; `text` is one that `node_taint` took."""
    return re.split("[=:]", text)[0], text.rpartition(":")[2]


def node_taints(texts: tuple[str, ...]) -> tuple[str, ...]:
    """All taints of a node: one per key and effect."""
    seen: set[tuple[str, str]] = set()
    for text in texts:
        key, effect = taint_key_and_effect(text)
        if (key, effect) in seen:
            raise Refusal(
                f"two taints of {key} with {effect} (the kubelet refuses to start)", remedy="Keep one of them."
            )
        seen.add((key, effect))
    return texts


def tag_key(key: str) -> str:
    """The name of an Azure tag."""
    if not key or len(key) > 512 or re.search(r"[<>%&\\?/\x00-\x1f]", key):
        raise Refusal("not a tag name", allowed="1 to 512 characters, none of < > % & \\ ? /")
    if key.lower().startswith(("azure", "microsoft", "windows")):
        raise Refusal("has a prefix that Azure keeps for itself", allowed="not azure…, microsoft…, windows…")
    return key


def tags(given: dict[str, str]) -> dict[str, str]:
    """All tags of a machine."""
    if len(given) > _MOST_TAGS:
        raise Refusal(f"{len(given)} tags", allowed=f"Azure takes at most {_MOST_TAGS}")
    by_case: dict[str, str] = {}
    for key in given:
        if by_case.setdefault(key.lower(), key) != key:
            raise Refusal(f"{by_case[key.lower()]} and {key} are one tag: Azure does not tell upper from lower case")
    return given


def tag_value(value: str) -> str:
    """The value of an Azure tag."""
    if len(value) > 256 or re.search(r"[\x00-\x1f]", value):
        raise Refusal("not a tag value", allowed="up to 256 characters, on one line")
    return value


def _prefix(key: str) -> str:
    """The prefix of a label or taint key."""
    prefix, slash, name = key.rpartition("/")
    if not _LABEL_NAME.fullmatch(name) or (slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix))):
        raise Refusal(
            f"{key!r} is not a label key",
            allowed="[prefix/]name with up to 63 of A-Z, a-z, 0-9, -, _ and . in the name",
        )
    return prefix
