"""A Pulumi with one stack, for scripts that look after it: the person's own, or the sandbox's."""

import json
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.stack import NO_PULUMI, StackError


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Where the CLI is run, with what, and for which stack."""

    stack: str
    folder: Path
    """That of Pulumi.yaml."""
    variables: Mapping[str, str]
    config: tuple[str, ...] = ()
    """Words that name the stack's configuration, where it is not beside Pulumi.yaml."""

    def tried(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """The CLI's answer, whatever it is. Raises StackError where there is no CLI."""
        command = ["pulumi", *arguments, "--stack", self.stack, "--non-interactive", "--color", "never"]
        try:
            return subprocess.run(
                command,
                cwd=self.folder,
                env=self.variables,
                input=stdin,
                text=True,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            raise StackError(NO_PULUMI) from None

    def output(self, *arguments: str, stdin: str = "") -> str:
        """The CLI's standard output. Raises StackError with what it said if it fails."""
        done = self.tried(*arguments, stdin=stdin)
        if done.returncode:
            raise StackError(f"`pulumi {shlex.join(arguments)}` failed:\n{(done.stderr or done.stdout).strip()}")
        return done.stdout

    def exported(self, *, secrets: bool = False) -> dict[str, Any]:
        """The state as the CLI exports it; `secrets`: in clear, for this process alone."""
        state: dict[str, Any] = json.loads(self.output("stack", "export", *(["--show-secrets"] if secrets else [])))
        return state

    def replace(self, state: Mapping[str, Any]) -> None:
        """Replace the state by this one, whose secrets have to be encrypted. Pending operations are left out."""
        with tempfile.TemporaryDirectory() as folder:  # 0700
            file = Path(folder) / "state.json"
            file.write_text(json.dumps(state), encoding="utf-8")
            self.output("stack", "import", "--file", str(file))
