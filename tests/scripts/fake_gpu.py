"""The sandbox's fake GPU without a machine: its programs, its hardware directory and what a reboot takes away."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("nvidia-smi", "load-driver", "nv-fabricmanager", "container-hook", "vectorAdd")
TUTORIAL_GPU = "GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b"


class FakeGpu:
    """GPUs, the driver's programs in ``bin`` and the variables they read in ``environment``.

    The programs take every user for root, unless ``environment["GPU_PRIVILEGED"]`` is "0".
    """

    def __init__(self, path: Path, binary: Path) -> None:
        self.bin, self.hardware, self.volatile = path / "bin", path / "hardware", path / "run-gpu"
        self.device_files = path / "dev"
        for folder in (self.bin, self.hardware, self.device_files):
            folder.mkdir()
        for name in PROGRAMS:
            (self.bin / name).symlink_to(binary)
        self.environment = {
            "GPU_HARDWARE": str(self.hardware),
            "GPU_VOLATILE": str(self.volatile),
            "GPU_DEV": str(self.device_files),
            "GPU_PRIVILEGED": "1",
            "GPU_MODULES": str(path / "modules"),
            "GPU_LIBRARY": str(path / "libnvidia-ml.so.1"),
            "PATH": f"{self.bin}:{os.environ['PATH']}",
        }

    def plug(self, *gpus: dict[str, Any]) -> None:
        """Put these GPUs in: index, model, uuid, pci_bus_id; what is missing is the tutorial's A100.

        A driver that is loaded has them as if they had been there before.
        """
        tutorial = {"model": "A100-80GB", "uuid": TUTORIAL_GPU, "pci_bus_id": "00000001:00:00.0"}
        entries = [{"index": index, **tutorial, **gpu} for index, gpu in enumerate(gpus)]
        (self.hardware / "gpus.json").write_text(json.dumps(entries))
        if (self.volatile / "driver").exists():
            for index in range(len(gpus)):
                (self.device_files / f"nvidia{index}").touch()

    def fault(self, faults: dict[str, Any]) -> None:
        """Let exactly these things go wrong from now on."""
        (self.hardware / "faults.json").write_text(json.dumps(faults))

    def load_driver(self, version: str = "580.159.04") -> None:
        self.run("load-driver", version).check_returncode()

    def reboot(self) -> None:
        """Lose what a reboot loses, and load the driver that was loaded."""
        version = (self.volatile / "driver").read_text().strip()
        shutil.rmtree(self.volatile)
        self.load_driver(version)

    def run(
        self, program: str, *arguments: str, timeout: float = 20, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.bin / program, *arguments],
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def in_a_namespace(self, program: str, *arguments: str, stdin: str) -> None:
        """Run a program that mounts, in a mount namespace of its own. Skips the test where the host allows none."""
        alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
        if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this host gives its users no mount namespace")
        command = [*alone, self.bin / program, *arguments]
        subprocess.run(command, input=stdin, env=self.environment, text=True, timeout=20, check=True)

    def smi(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run nvidia-smi with arguments that hold no spaces."""
        return self.run("nvidia-smi", *command.split())

    def said(self, command: str) -> str:
        """What nvidia-smi prints when it succeeds."""
        answer = self.smi(command)
        assert answer.returncode == 0, f"nvidia-smi {command}: exit {answer.returncode}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    def enter_container(self, *device_files: str) -> None:
        """Look at the GPUs as a process does that has these of the driver's device files, and nvidiactl."""
        given = {self.device_files / name for name in ("nvidiactl", *device_files)}
        for path in self.device_files.rglob("*"):
            if path.is_file() and path not in given:
                path.unlink()
        for path in given:
            path.touch()

    def mode(self) -> str:
        return self.said("--query-gpu=mig.mode.current,mig.mode.pending --format=csv,noheader").strip()

    def placements(self) -> list[str]:
        """What exists, in the order of -lgi: "3g.40gb 1 4:4" is profile, GPU instance id, start:size."""
        rows = (line.split() for line in self.smi("mig -lgi").stdout.splitlines() if line.startswith("|   "))
        return [f"{row[3]} {row[5]} {row[6]}" for row in rows if row[1].isdigit()]

    def enable(self) -> None:
        """MIG mode on, whatever that takes."""
        self.said("-mig 1")
        if self.mode() != "Enabled, Enabled":
            self.reboot()
