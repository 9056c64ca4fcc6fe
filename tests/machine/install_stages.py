"""The install stages, each run as mig-k8s runs it, and the web that they download from."""

import subprocess
from pathlib import Path

from a_machine import AMachine

CLOUD_INIT = Path(__file__).resolve().parents[2] / "cloud-init"
CURL = """
    while [ $# -gt 0 ]; do [ "$1" != --output ] || out=$2; url=$1; shift; done
    file=$STATE/web/${url#https://}
    [ -f "$file" ] || { echo "curl: (22) The requested URL returned error: 404" >&2; exit 22; }
    cp "$file" "$out"
"""

TIMEOUT = """
    while [[ $1 == -k ]]; do shift 2; done
    shift; "$@"
"""
"""Nothing that a stage runs here takes long; a test of a limit has a `timeout` of its own."""


def for_stages(folder: Path) -> AMachine:
    """A machine for the real stages, with no programs of its own yet."""
    made = AMachine.below(folder)
    made.write("etc/rancher/rke2/config.yaml", "cni: calico\n", 0o600)
    return made


def run(machine: AMachine, stage: str, **environment: str) -> tuple[int, str, subprocess.CompletedProcess[str]]:
    """Exit code, last report line, and the whole."""
    functions = machine.folder / "functions.sh"
    functions.write_text(_functions(machine), encoding="utf-8")
    given = {**machine.environment, "MIG_K8S_ROOT": str(machine.root), "BASH_ENV": str(functions), **environment}
    ended = subprocess.run(
        [str(CLOUD_INIT / "stages" / stage)], env=given, capture_output=True, text=True, timeout=60, check=False
    )
    lines = ended.stdout.splitlines()
    words = ("progress", "half-changed", "done", "unchanged", "reboot", "turn", "failed")
    assert all(line.split(" ")[0] in words for line in lines), lines
    return ended.returncode, lines[-1] if lines else "", ended


def _functions(machine: AMachine) -> str:
    """Its programs as functions of the stage's bash: to start one takes longer than to run it."""
    bodies = {path.name: path.read_text(encoding="utf-8") for path in machine.programs.iterdir()}
    if any("kill " in body for body in bodies.values()):  # it means processes, and whose child it is
        return ""
    # Like a process of its own, a function does not end where a command fails. Only the stage itself has them.
    whole = {"timeout": TIMEOUT} | bodies
    return "unset BASH_ENV\n" + "".join(f"{name}() (\nset +eu +o pipefail\n{body}\n)\n" for name, body in whole.items())


def web(machine: AMachine, address: str, content: bytes) -> None:
    """What CURL gets from https://`address`."""
    path = machine.state / "web" / address
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def fetched(machine: AMachine) -> list[str]:
    """The names of the files that were fetched since calls were forgotten."""
    return [call.rpartition("/")[2] for call in machine.calls("curl")]
