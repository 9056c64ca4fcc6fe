"""RKE2 as far as its stage needs it: its release, systemd's unit and its process."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path, PurePosixPath

from a_machine import AMachine
from install_stages import CLOUD_INIT, CURL, run, web
from packages_on_machine import packages

PROGRAM = """#!/bin/sh
if [ "$1" = --version ]; then echo "rke2 version VERSION (abcdef)"; echo "go version go1.26.8"; exit; fi
echo "rke2 $*" >>"$STATE/calls"
if [ "$2" = save ] && [ -f "$STATE/no-snapshot" ]; then cat "$STATE/no-snapshot"; exit 1; fi
"""
UNIT = "[Service]\nEnvironmentFile=-/usr/local/lib/systemd/system/%N.env\nExecStart=/usr/local/bin/rke2 ROLE\n"
# The order and the names of a release's tarball (rancher/rke2, bundle/).
FILES = {
    "bin/rke2": PROGRAM,
    "bin/rke2-killall.sh": "#!/bin/sh\n",
    "bin/rke2-uninstall.sh": '#!/bin/sh\nINSTALL_RKE2_ROOT="/usr/local"\n',
    "lib/systemd/system/rke2-agent.service": UNIT.replace("ROLE", "agent"),
    "lib/systemd/system/rke2-server.service": UNIT.replace("ROLE", "server"),
    "share/rke2/LICENSE.txt": "of VERSION\n",
    "share/rke2/rke2-cis-sysctl.conf": "vm.panic_on_oom=0\n",
}
RKE2_SYSTEMCTL = """
    process=$MIG_K8S_ROOT/proc/77
    run() { [ -d "$process" ] || mkdir -p "$process"; cp "$MIG_K8S_ROOT/usr/local/bin/rke2" "$process/exe"; }
    case "$1" in
      start|restart)
        if [ -f "$STATE/broken" ]; then : >"$STATE/starting"; exit 1; fi
        [ "$1" = start ] && [ -f "$STATE/up" ] || run
        : >"$STATE/up"; [ ! -f "$STATE/starting" ] || rm "$STATE/starting" ;;
      is-active)
        if [ -f "$STATE/starting" ]; then echo activating; exit 3; fi
        if [ -f "$STATE/up" ]; then echo active; else echo inactive; exit 3; fi ;;
      show) [ -f "$STATE/up" ] && echo 77 || echo 0 ;;
    esac
"""
"""What a process runs stays as it was when it started, as the kernel has it in /proc.

systemd starts a broken one again and again: it is `activating`.
"""
NFT = """
    case "$1" in
      --file) cp "$2" "$STATE/nft" ;;
      list) [ -f "$STATE/nft" ] ;;
      delete) rm "$STATE/nft" ;;
    esac
"""
# Its API server is of the old version for one more answer.
KUBECTL = """#!/bin/sh
version=$("$MIG_K8S_ROOT/proc/77/exe" --version | sed -n 's/^rke2 version \\(v[^ ]*\\).*/\\1/p')
printf '{\\n  "gitVersion": "%s"\\n}' "$(cat "$STATE/served" 2>/dev/null || echo "$version")"
echo "$version" >"$STATE/served"
"""
RKE2 = {
    "RKE2_VERSION": "v1.35.7+rke2r1",
    "RKE2_ARTIFACTS": "https://mirror.example/rke2/v1.35.7+rke2r1", "RKE2_SHA256": "", "RKE2_ROLE": "server",
    "RKE2_CIS": "0", "RKE2_GPU": "1", "RKE2_PODS_REACH_METADATA": "0", "RKE2_IMAGE_ARCHIVES": "",
}  # fmt: skip
NEWER = "v1.35.8+rke2r1"
UPGRADE = {**RKE2, "RKE2_VERSION": NEWER, "RKE2_ARTIFACTS": f"https://mirror.example/rke2/{NEWER}"}


def rke2_machine_of(real_stages: AMachine) -> AMachine:
    """A machine with all that its rke2 stage calls."""
    packages(real_stages)
    for name in ("sysctl", "useradd", "journalctl", "sleep"):
        real_stages.program(name, "")
    real_stages.program("getent", "exit 2")
    real_stages.program("systemctl", RKE2_SYSTEMCTL)
    real_stages.program("curl", CURL)
    real_stages.program("mountpoint", "exit 1")
    real_stages.program("nft", NFT)
    real_stages.write("usr/sbin/nft", "", 0o755)
    real_stages.path("usr/local").mkdir(parents=True)
    real_stages.write("var/lib/rancher/rke2/bin/kubectl", KUBECTL, 0o755)
    release(real_stages, "mirror.example/rke2/v1.35.7+rke2r1")
    real_stages.write("etc/rancher/rke2/token", "secret\n", 0o600)
    real_stages.write("etc/rancher/rke2/agent-token", "of agents\n", 0o600)
    real_stages.write("var/lib/mig-k8s/may-found", "", 0o600)
    keep_tokens(real_stages)
    return real_stages


def put_rke2_up(machine: AMachine, role: str) -> Path:
    """Have the stage install and start RKE2 on it; the folder of the machine, with nothing of that in `calls`.

    An agent has no agent token beside its own.
    """
    rke2_machine_of(machine)
    if role == "agent":
        machine.path("etc/rancher/rke2/agent-token").unlink()
    code, last, ended = run(machine, "rke2", **{**RKE2, "RKE2_ROLE": role})
    assert (code, last) == (0, f"done RKE2 {RKE2['RKE2_VERSION']} {role} is ready"), ended.stderr
    machine.forget_calls()
    return machine.folder


def keep_tokens(machine: AMachine, status: int = 0) -> None:
    """Subcommands of mig-k8s end like this; each is a line of `asked`."""
    machine.write("usr/bin/python3", f'#!/bin/sh\necho "$*" >>"$STATE/asked"; exit {status}\n', 0o755)


def asked(machine: AMachine) -> list[str]:
    """What mig-k8s was asked for since the last question."""
    path = machine.state / "asked"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line.removeprefix(f"-I -B {CLOUD_INIT} ") for line in lines]


def release(machine: AMachine, address: str, version: str = "") -> str:
    """What the web has at this address, whose last part names the version; the SHA-256 of the tarball."""
    tarball = tarball_of(version or PurePosixPath(address).name.replace("%2B", "+"))
    checksum = hashlib.sha256(tarball).hexdigest()
    web(machine, f"{address}/rke2.linux-amd64.tar.gz", tarball)
    images = f"{'0' * 64}  rke2-images.linux-amd64.tar.zst\n"
    web(machine, f"{address}/sha256sum-amd64.txt", f"{images}{checksum}  rke2.linux-amd64.tar.gz\n".encode())
    return checksum


def tarball_of(version: str) -> bytes:
    """A release's tarball: the same bytes at every call."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, text in FILES.items():
            content = text.replace("VERSION", version).encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if name.startswith("bin/") else 0o644
            entry.uid = entry.gid = 1001  # whoever built it
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def put_in_place(machine: AMachine) -> int:
    """How often a release was put in place since the calls were forgotten."""
    return len(machine.calls("systemctl daemon-reload"))
