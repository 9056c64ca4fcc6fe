"""`make backup` and `make restore` as a person runs them, in a checkout whose stack is the sandbox's."""

import shutil
import subprocess
import sys
from pathlib import Path

from command_line import CHECKOUT, CommandLine

from sandbox.engine.environment import STACK, Environment


class BackingUp:
    """A person with a checkout of their own, in `folder`."""

    def __init__(self, person: CommandLine, folder: Path) -> None:
        self._environment = Environment(person.root, machines=True)
        self._checkout, self.file = folder / "checkout", folder / "sandbox.backup"
        for name in ("machine", "plan", "scripts"):
            shutil.copytree(CHECKOUT / name, self._checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(CHECKOUT / "Pulumi.yaml", self._checkout)

    def backup(self) -> str:
        return self._run("backup", "--file", str(self.file))

    def restore(self, *more: str, status: int = 0) -> str:
        return self._run("restore", str(self.file), *more, status=status)

    def restore_confirmed(self) -> str:
        return self.restore("--confirm", STACK)

    def _run(self, script: str, *arguments: str, status: int = 0) -> str:
        """Output and errors."""
        shutil.copy(self._environment.stack_file, self._checkout / f"Pulumi.{STACK}.yaml")
        done = subprocess.run(
            [sys.executable, "-m", f"scripts.{script}", STACK, *arguments],
            cwd=self._checkout,
            env={**self._environment.variables(), "SSH_KEY": str(self._environment.admin_key)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == status, f"{script}: exit status {done.returncode}\n{done.stdout}"
        return done.stdout
