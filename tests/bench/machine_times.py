"""How often the machines of a sandbox rebooted, and how long the last run of each of their stages took.

python tests/bench/machine_times.py [SANDBOX]     prints a table per machine; exit code 1 if one rebooted more than once
"""

import json
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))

from sandbox.instance import Sandbox, default_root  # noqa: E402 - the checkout is no installed package
from sandbox.process import run  # noqa: E402

TUTORIAL_REBOOTS = 3
"""After the driver, after the host name, after enabling MIG."""


def result(name: str, machine: str) -> dict[str, object]:
    """The machine's result file."""
    config = default_root(name) / "ssh_config"
    text = run(["ssh", "-F", str(config), machine, "sudo cat /var/lib/mig-k8s/result.json"])
    document: dict[str, object] = json.loads(text)
    return document


def main(name: str) -> int:
    """Print the tables; the exit code."""
    root = default_root(name)
    if not (root / "ssh_config").exists():
        print(f"sandbox {name} is not up: `make sandbox` first, then the stages of its machines are shown here")
        return 0
    sandbox = Sandbox.load(root)
    most = 0
    for vm_id in sandbox.machine_ids:
        directory = sandbox.machine_directory(vm_id)
        machine = json.loads((directory / "machine.json").read_text())["name"]
        reboots = (directory / "console.log").read_text(errors="replace").splitlines().count("reboot")
        most = max(most, reboots)
        print(f"{machine}: {reboots} reboot(s) since its birth; the tutorial's way takes {TUTORIAL_REBOOTS}")
        stages = result(name, machine)["stages"]
        assert isinstance(stages, list)
        for stage in stages:
            print(f"  {stage['name']:10} {stage['seconds']:6.1f} s  {stage['outcome']:10} {stage['reason']}")
    return int(most > 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "default"))
