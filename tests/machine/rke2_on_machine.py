"""RKE2 as far as its stage needs it: install script, program, systemd's unit and its process."""

import hashlib

from a_machine import AMachine
from install_stages import CLOUD_INIT, CURL, web
from packages_on_machine import packages

INSTALL_RKE2 = """
for name in rke2.linux-amd64.tar.gz sha256sum-amd64.txt; do [ -f "$INSTALL_RKE2_ARTIFACT_PATH/$name" ] || exit 7; done
echo "install $INSTALL_RKE2_VERSION $INSTALL_RKE2_TYPE $INSTALL_RKE2_METHOD" >>"$STATE/calls"
mkdir -p "$MIG_K8S_ROOT/usr/local/bin" "$MIG_K8S_ROOT/usr/local/share/rke2"
echo "vm.panic_on_oom=0" >"$MIG_K8S_ROOT/usr/local/share/rke2/rke2-cis-sysctl.conf"
cat >"$MIG_K8S_ROOT/usr/local/bin/rke2" <<END
#!/bin/sh
if [ "\\$1" = --version ]; then echo "rke2 version $INSTALL_RKE2_VERSION (abcdef)"; echo "go version go1.26.8"; exit; fi
echo "rke2 \\$*" >>"$STATE/calls"
if [ "\\$2" = save ] && [ -f "$STATE/no-snapshot" ]; then cat "$STATE/no-snapshot"; exit 1; fi
END
chmod 755 "$MIG_K8S_ROOT/usr/local/bin/rke2"
mkdir -p "$MIG_K8S_ROOT/var/lib/rancher/rke2/bin"
cp "$STATE/kubectl" "$MIG_K8S_ROOT/var/lib/rancher/rke2/bin/kubectl"
if [ -f "$STATE/cut" ]; then rm "$STATE/cut"; kill -9 "$(cut -d' ' -f4 /proc/$PPID/stat)"; fi
"""
"""With the file `cut`, the stage is killed when the script ends; its parent is `timeout`, the child of the stage."""
RKE2_SYSTEMCTL = """
    run() { mkdir -p "$MIG_K8S_ROOT/proc/77"; cp "$MIG_K8S_ROOT/usr/local/bin/rke2" "$MIG_K8S_ROOT/proc/77/exe"; }
    case "$1" in
      start|restart)
        [ ! -f "$STATE/broken" ] || exit 1
        [ "$1" = start ] && [ -f "$STATE/up" ] || run
        touch "$STATE/up"; rm -f "$STATE/starting" ;;
      is-active) [ -f "$STATE/up" ] && [ ! -f "$STATE/starting" ] && echo active || { echo activating; exit 3; } ;;
      show) [ -f "$STATE/up" ] && echo 77 || echo 0 ;;
    esac
"""
"""What a process runs stays as it was when it started, as the kernel has it in /proc."""
# Its API server is of the old version for one more answer.
KUBECTL = """#!/bin/sh
version=$("$MIG_K8S_ROOT/proc/77/exe" --version | sed -n 's/^rke2 version \\(v[^ ]*\\).*/\\1/p')
printf '{\\n  "gitVersion": "%s"\\n}' "$(cat "$STATE/served" 2>/dev/null || echo "$version")"
echo "$version" >"$STATE/served"
"""
TARBALL = b"the tarball"
TARBALL_SHA256 = hashlib.sha256(TARBALL).hexdigest()
RKE2 = {
    "RKE2_VERSION": "v1.35.7+rke2r1", "RKE2_INSTALL": "https://mirror.example/rke2/install.sh",
    "RKE2_ARTIFACTS": "https://mirror.example/rke2/v1.35.7+rke2r1", "RKE2_SHA256": "", "RKE2_ROLE": "server",
    "RKE2_CIS": "0", "RKE2_GPU": "1",
}  # fmt: skip


def rke2_machine_of(real_stages: AMachine) -> AMachine:
    """It, with all that its rke2 stage calls."""
    packages(real_stages)
    for name in ("sysctl", "useradd", "journalctl", "sleep"):
        real_stages.program(name, "")
    real_stages.program("getent", "exit 2")
    real_stages.program("systemctl", RKE2_SYSTEMCTL)
    real_stages.program("curl", CURL)
    web(real_stages, "mirror.example/rke2/install.sh", INSTALL_RKE2.encode())
    (real_stages.state / "kubectl").write_text(KUBECTL, encoding="utf-8")
    (real_stages.state / "kubectl").chmod(0o755)
    release(real_stages, "mirror.example/rke2/v1.35.7+rke2r1")
    real_stages.write("etc/rancher/rke2/token", "secret\n", 0o600)
    real_stages.write("etc/rancher/rke2/agent-token", "of agents\n", 0o600)
    real_stages.write("var/lib/mig-k8s/may-found", "", 0o600)
    keep_tokens(real_stages)
    return real_stages


def keep_tokens(machine: AMachine, status: int = 0) -> None:
    """Subcommands of mig-k8s end like this; each is a line of `asked`."""
    machine.write("usr/bin/python3", f'#!/bin/sh\necho "$*" >>"$STATE/asked"; exit {status}\n', 0o755)


def asked(machine: AMachine) -> list[str]:
    """What mig-k8s was asked for since the last question."""
    path = machine.state / "asked"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line.removeprefix(f"-I -B {CLOUD_INIT} ") for line in lines]


def release(machine: AMachine, address: str) -> None:
    web(machine, f"{address}/rke2.linux-amd64.tar.gz", TARBALL)
    web(machine, f"{address}/sha256sum-amd64.txt", f"{TARBALL_SHA256}  rke2.linux-amd64.tar.gz\n".encode())
