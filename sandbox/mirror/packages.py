"""Debian packages that hold our programs under the names of NVIDIA's, of the driver and of the container toolkit."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sandbox.mirror.nvidia_packages import LIBRARY, Package
from sandbox.process import run
from sandbox.tools import toolchain


@dataclass(frozen=True)
class Ours:
    """What the packages hold: the GPU's program and the driver's library, ours, and NVIDIA's container toolkit."""

    gpu: Path
    library: Path
    toolkit: Path

    @classmethod
    def built(cls) -> "Ours":
        """As the toolchain builds them."""
        return cls(toolchain.gpu(), toolchain.nvml(), toolchain.container_toolkit())


def build_package(package: Package, ours: Ours, pool: Path) -> None:
    """One .deb in ``pool``."""
    control = {
        "Package": package.name,
        "Version": package.version,
        "Architecture": "amd64",
        "Maintainer": "mig-k8s sandbox <sandbox@localhost>",
        "Section": "restricted/misc",
        "Depends": ", ".join(package.depends),
        "Conflicts": ", ".join(package.conflicts),
        "Description": f"the mig-k8s sandbox's: holds {package.holds}",
    }
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"

        def place(path: str) -> Path:
            target = tree / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            return target

        for path in package.programs:
            target = place(path)
            shutil.copyfile(ours.gpu, target)
            target.chmod(0o755)
        for path, source in package.of_the_toolkit.items():
            target = place(path)
            shutil.copyfile(ours.toolkit / source, target)
            target.chmod(0o644 if source.startswith("systemd/") else 0o755)
        if package.library:
            target = place(package.library)
            shutil.copyfile(ours.library, target)
            target.with_name(f"{LIBRARY}.1").symlink_to(target.name)
        for path, content in package.files.items():
            place(path).write_text(content)
        (tree / "DEBIAN").mkdir(parents=True)
        lines = "".join(f"{name}: {value}\n" for name, value in control.items() if value)
        (tree / "DEBIAN/control").write_text(lines)
        kept = [path for path in package.of_the_toolkit if path.startswith("/etc/")]  # as debhelper has it
        (tree / "DEBIAN/conffiles").write_text("".join(f"{path}\n" for path in kept))
        if package.after_installation:
            script = tree / "DEBIAN/postinst"
            script.write_text(f"#!/bin/sh\nset -e\n{package.after_installation}")
            script.chmod(0o755)
        run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(pool)])
