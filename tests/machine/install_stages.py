"""The install stages, each run as mig-k8s runs it."""

import subprocess
from pathlib import Path

from a_machine import AMachine

CLOUD_INIT = Path(__file__).resolve().parents[2] / "cloud-init"


def run(machine: AMachine, stage: str, **environment: str) -> tuple[int, str, subprocess.CompletedProcess[str]]:
    """Exit code, last report line, and the whole."""
    given = {**machine.environment, "MIG_K8S_ROOT": str(machine.root), **environment}
    ended = subprocess.run(
        [str(CLOUD_INIT / "stages" / stage)], env=given, capture_output=True, text=True, timeout=60, check=False
    )
    lines = ended.stdout.splitlines()
    assert all(line.split(" ")[0] in ("progress", "done", "unchanged", "reboot", "failed") for line in lines), lines
    return ended.returncode, lines[-1] if lines else "", ended
