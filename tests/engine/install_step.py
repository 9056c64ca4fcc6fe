"""What `pulumi install` does to a checkout."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path


def install(checkout: Path) -> None:
    """What the Python language host runs at `pulumi install` (pulumi/pulumi, sdk/python/toolchain/pip.go).

    Only its upgrade of pip and setuptools is left out, and what is in the cache already is not downloaded once more.
    """
    venv = checkout / "venv"
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(venv)], text=True, capture_output=True, timeout=120, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "cached.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "-r", "requirements.txt"]
    offline = {**os.environ, "PIP_NO_INDEX": "1", "VIRTUAL_ENV": str(venv)}
    done = subprocess.run(pip, cwd=checkout, env=offline, text=True, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not venv.is_symlink()
    run = [str(venv / "bin/python"), "-c", "import pulumi, sys; print(sys.prefix)"]
    assert subprocess.check_output(run, text=True, timeout=60).strip() == str(venv)
