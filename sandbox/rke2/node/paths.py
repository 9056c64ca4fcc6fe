"""Where RKE2 keeps its things (docs.rke2.io), and where the tarball put ours."""

from pathlib import Path

SHARE = Path(__file__).resolve().parent.parent
"""share/rke2 of the unpacked tarball: programs, CNI plugins, version."""

CONFIGURATION = Path("/etc/rancher/rke2/config.yaml")
REGISTRIES = Path("/etc/rancher/rke2/registries.yaml")
KUBECONFIG = Path("/etc/rancher/rke2/rke2.yaml")
POD_SECURITY = Path("/etc/rancher/rke2/rke2-pss.yaml")
NODE_PASSWORD = Path("/etc/rancher/node/password")

DATA = Path("/var/lib/rancher/rke2")
FORCE_RESTART = DATA / "force-restart"
"""While this file is there, the next start ends etcd and the control plane first, which else outlive a restart."""
PROGRAMS = DATA / "bin"
TLS = DATA / "server/tls"
CREDENTIALS = DATA / "server/cred"
DATABASE = DATA / "server/db/etcd"
MEMBER = DATABASE / "name"
DATA_VERSION = DATA / "server/db/version"
SNAPSHOTS = DATA / "server/db/snapshots"
RESET_FLAG = DATA / "server/db/reset-flag"
TOKEN = DATA / "server/token"
NODE_TOKEN = DATA / "server/node-token"
AGENT_TOKEN = DATA / "server/agent-token"
PASSWORDS = DATA / "server/cred/passwd"
AGENT = DATA / "agent"
AUTHORITY = AGENT / "server-ca.crt"
API_SERVERS = AGENT / "etc/rke2-api-server-agent-load-balancer.json"
CONTAINERD_CONFIGURATION = AGENT / "etc/containerd/config.toml"
REGISTRY_HOSTS = AGENT / "etc/containerd/certs.d"
KUBELET_CONFIGURATION = AGENT / "etc/kubelet.conf.d/00-rke2-defaults.conf"

CONTAINERD_SOCKET = Path("/run/k3s/containerd/containerd.sock")
CNI_CONFIGURATION = Path("/etc/cni/net.d")
UNITS = Path("/run/systemd/system")


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Whole or not at all; never readable for more than `mode` says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_bytes(content.encode() if isinstance(content, str) else content)
    draft.chmod(mode)
    draft.replace(path)
