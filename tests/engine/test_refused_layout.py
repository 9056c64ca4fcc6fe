"""What a person reads of a layout that a machine refuses: short, in words, by the real engine and over real SSH."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ssh_server import SshServer

from sandbox.engine.environment import Environment
from sandbox.tools import toolchain

CHECKOUT = Path(__file__).resolve().parents[2]
MACHINE = CHECKOUT / "tests/machine"
sys.path.append(str(MACHINE))  # a machine of those tests, with GPUs and pods

from a_live_node import LiveNode  # noqa: E402
from a_machine import AMachine  # noqa: E402
from gpus import Gpus  # noqa: E402

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]
PROGRAM = CHECKOUT / "tests/engine/programs/lays_out_gpus.py"


def held_by_pods(gpus: Gpus) -> None:
    """Seven pods hold seven devices, most of which the stack's layout has no place for."""
    LiveNode(gpus).hold(*((f"training-{number}", number) for number in range(7)))


def with_other_profiles(gpus: Gpus) -> None:
    """Not the GPU that the stack's size has."""
    cards = json.loads((gpus.hardware / "gpus.json").read_text())
    (gpus.hardware / "gpus.json").write_text(json.dumps([{**card, "model": "A100-40GB"} for card in cards]))
    gpus.enable()


def lost(gpus: Gpus) -> None:
    """It fell off the bus."""
    gpus.machine.program("nvidia-smi", "echo 'Unable to determine the device handle for GPU0: GPU is lost.'; exit 15")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (held_by_pods, "GPU 0  refused: pods hold devices that must go: work/training-0 (1g.10gb at 0), "),
        (with_other_profiles, "GPU 0  failed: the layout does not fit GPU 0: no profile 3g.40gb; this GPU has "),
        (lost, "GPU 0  failed: GPU 0 does not tell its MIG mode: Unable to determine the device handle"),
    ],
)
def test_the_whole_error_of_a_refused_layout_has_at_most_15_lines_and_no_json(
    broken: Callable[[Gpus], None], reason: str, server: SshServer, environment: Environment, tmp_path: Path
) -> None:
    folder, project = tmp_path / "machine", tmp_path / "project"
    folder.mkdir()
    project.mkdir()
    machine = AMachine.below(folder)
    broken(Gpus(machine, toolchain.gpu(), ("A100-80GB",)))
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"folder": str(machine.folder), "environment": machine.environment, "fate": {}}))
    (project / "Pulumi.yaml").write_text("name: layout\nruntime: python\n")
    shutil.copy(PROGRAM, project / "__main__.py")
    variables = {
        "TEST_CHECKOUT": str(CHECKOUT),
        "TEST_CONNECTION": json.dumps(server.connection),
        "TEST_PROGRAM": f"{sys.executable} -I {MACHINE / 'driver.py'} {spec}",
    }

    def pulumi(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [environment.programs / "pulumi", *arguments],
            cwd=project,
            env=environment.variables() | variables,
            text=True,
            capture_output=True,
            timeout=150,
            check=False,
        )

    stack = broken.__name__.replace("_", "-")
    assert pulumi("stack", "init", stack).returncode == 0
    done = pulumi("up", "--stack", stack, "--yes", "--skip-preview")
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    error = said.partition("Diagnostics:\n")[2].partition("Resources:\n")[0].strip().splitlines()
    assert 0 < len(error) <= 15, said
    assert any(line.strip().startswith(reason) for line in error), said
    assert not any(line.strip().startswith(("{", "}", '"', "[")) for line in said.splitlines()), said
