"""A Pulumi of the sandbox's own: home, plugins, state, passphrase, keys and one stack, all in the sandbox's directory.

Nothing of the user's Pulumi is read or written: not the home, the login, the stacks nor the stack file, which is merged
into a copy. The checkout is not written to: the project is a copy of Pulumi.yaml that names the checkout's program.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox import person, private_file
from sandbox.engine import output as engine_output
from sandbox.engine import plugins
from sandbox.engine import stack_file as stack_files
from sandbox.error import SandboxError
from sandbox.mirror import certificate
from sandbox.process import ProcessId, run
from sandbox.tools import pulumi_cli, toolchain
from sandbox.virtualenv import CHECKOUT, virtualenv

STACK = "sandbox"
_NAMESPACE = "mig-k8s"
_FOREIGN = ("PULUMI_", "ARM_", "AZURE_", "HELM_", "KUBE", "PYTHONPATH", "SSH_AUTH_SOCK", "MIG_K8S_SANDBOX")
"""Variables by which the engine or its plugins would use something of the user's."""
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
"""Everything the engine talks to is on this machine."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The sandbox's Pulumi below `root`. `machines`: whether its providers may make anything, or only preview.

    `program`: the checkout whose program the engine runs; the sandbox itself is always of this one.
    """

    root: Path
    machines: bool
    program: Path = CHECKOUT

    @property
    def stack_file(self) -> Path:
        """The stack file in use: the chosen one with the sandbox's keys and sources."""
        return self.root / "stack.yaml"

    @property
    def admin_key(self) -> Path:
        """The administrator's private SSH key."""
        return self.root / "keys" / "admin"

    @property
    def host_key(self) -> Path:
        """The machines' private SSH host key."""
        return self.root / "keys" / "host"

    @property
    def engine_file(self) -> Path:
        """The pid file of the engine that works for people to see."""
        return self.root / "pulumi" / "engine.pid"

    @property
    def locks(self) -> Path:
        """Where the engine's locks are: one file for each that is held, or was when its holder was killed."""
        return self.root / "pulumi" / "state" / ".pulumi" / "locks"

    @property
    def programs(self) -> Path:
        """kubectl, helm and pulumi for the providers and for people."""
        return self.root / "bin"

    def prepare(self, stack_file: Path, supplies: Mapping[str, Mapping[str, str]] | None) -> None:
        """Lay out everything for `stack_file`.

        `supplies`: what its machines get, and from where; None leaves the file's own.
        """
        chosen = stack_files.configuration(stack_file)
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in ("keys", "helm", "pulumi/state", "pulumi/project"):
            (self.root / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        plugins.install(self.root / "pulumi" / "home" / "plugins")
        _link(self.programs / "pulumi", pulumi_cli.pulumi())
        own = self._own_secrets()
        public_key = self.admin_key.with_suffix(".pub").read_text().strip()
        merged = {
            "encryptionsalt": own["encryptionsalt"],
            "config": stack_files.merged(chosen, public_key, own["config"], supplies),
        }
        private_file.write(self.stack_file, yaml.safe_dump(merged, sort_keys=False, width=120))

    def project(self) -> Path:
        """Where the CLI is run: Pulumi.yaml of the program, with the program's place and the cached interpreter."""
        described = yaml.safe_load((self.program / "Pulumi.yaml").read_text())
        described["main"] = str(self.program)
        described["runtime"]["options"]["virtualenv"] = str(virtualenv())
        file, text = self.root / "pulumi" / "program" / "Pulumi.yaml", yaml.safe_dump(described, sort_keys=False)
        if not file.exists() or file.read_text() != text:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            private_file.write(file, text)
        return file.parent

    def link_cluster_programs(self) -> None:
        """Put kubectl and Helm where the kubernetes provider looks, built if need be."""
        _link(self.programs / "kubectl", toolchain.kubectl())
        _link(self.programs / "helm", toolchain.helm())

    def variables(self) -> dict[str, str]:
        """The environment of the engine and its plugins."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_FOREIGN) and name.lower() not in _PROXIES
        }
        own = {
            "PATH": f"{self.programs}:{kept.get('PATH', os.defpath)}",
            "PULUMI_HOME": str(self.root / "pulumi" / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.root / 'pulumi' / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.root / "pulumi" / "passphrase"),
            "PULUMI_STACK": STACK,
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",  # a real provider on PATH would otherwise win over ours
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_CREDENTIAL_STORE": "plaintext",
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "1",
            "HELM_CACHE_HOME": str(self.root / "helm" / "cache"),
            "HELM_CONFIG_HOME": str(self.root / "helm" / "config"),
            "HELM_DATA_HOME": str(self.root / "helm" / "data"),
            "KUBECACHEDIR": str(self.root / "helm" / "kube"),
        }
        authority, _ = certificate.files(self.root / "mirror")
        if authority.exists():  # Helm gets the chart from the mirror, over https
            own["SSL_CERT_FILE"] = str(authority)
        return {**kept, **own, **({"MIG_K8S_SANDBOX": str(self.root)} if self.machines else {})}

    def pulumi(self, *arguments: str) -> int:
        """Run the CLI on the stack for people to see: on a wide terminal by its own display. Its exit status."""
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        terminal = columns >= engine_output.COLUMNS
        process = subprocess.Popen(
            self._command((*arguments, "--suppress-progress")),
            cwd=self.project(),
            env=self.variables(),
            stdout=None if terminal else subprocess.PIPE,
            text=True,
        )
        if engine := ProcessId.of(process.pid):
            engine.write(self.engine_file)
        log = engine_output.relay(process.stdout, columns or engine_output.COLUMNS) if process.stdout else None
        while True:
            try:
                status = process.wait()
                if log and process.stdout:
                    log.join()
                    process.stdout.close()
            except KeyboardInterrupt:
                continue  # the terminal told the CLI too, which ends what it began first
            return status

    def output(self, *arguments: str, stdin: str = "", project: Path | None = None) -> str:
        """The CLI's standard output. Raises SandboxError with what it said if it fails."""
        done = subprocess.run(
            self._command(arguments),
            cwd=project or self.project(),
            env=self.variables(),
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise SandboxError(f"`pulumi {arguments[0]}` failed:\n{done.stderr.strip()}")
        return done.stdout

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in clear."""
        found: dict[str, Any] = json.loads(self.output("stack", "output", "--json", "--show-secrets"))
        return found

    def state(self, *, secrets: bool = False) -> dict[str, Any]:
        """The stack's deployment as the engine keeps it; `secrets`: those of the resources in clear."""
        exported = json.loads(self.output("stack", "export", *(["--show-secrets"] if secrets else [])))
        deployment: dict[str, Any] = exported["deployment"]
        return deployment

    def set_secret(self, key: str, value: str) -> None:
        """Give the sandbox another secret of its own, as a person does; the next `prepare` takes it."""
        # By stdin: a command line can be read by everybody.
        arguments = ("config", "set", "--secret", "--non-interactive", f"{_NAMESPACE}:{key}")
        self.output(*arguments, stdin=value + "\n", project=self.root / "pulumi" / "project")

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        # If we are killed, the CLI is told to stop, and with it its plugins.
        return ["setpriv", "--pdeathsig", "INT", str(self.programs / "pulumi"), *arguments]

    def _own_secrets(self) -> dict[str, Any]:
        """A stack file of nothing but the sandbox's own secrets, encrypted; made once, since each takes a CLI run.

        It lives in a project of its own, because `pulumi stack init` writes its salt beside Pulumi.yaml.
        """
        project = self.root / "pulumi" / "project"
        done, file = project / "done", project / f"Pulumi.{STACK}.yaml"
        if not done.exists():
            file.unlink(missing_ok=True)
            private_file.write(self.root / "pulumi" / "passphrase", secrets.token_urlsafe(32))
            private_file.write(project / "Pulumi.yaml", f"name: {_NAMESPACE}\nruntime: python\n")
            for private in (self.admin_key, self.host_key):
                _make_key(private)
            if STACK in self.output("stack", "ls", "--json", project=project):
                down = person.command("make sandbox-down")
                raise SandboxError(f"{self.root} holds a stack whose secrets are lost: `{down}`, then run this again")
            self.output("stack", "init", STACK, project=project)
            values = {
                "sshPrivateKey": self.admin_key.read_text(),
                "sshHostKey": self.host_key.read_text(),
                "rke2Token": secrets.token_urlsafe(32),
            }
            for key, value in values.items():
                self.set_secret(key, value)
            done.touch()
        own: dict[str, Any] = yaml.safe_load(file.read_text())
        return own


def _make_key(path: Path) -> None:
    if not path.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mig-k8s sandbox", "-f", str(path)])


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not link.is_symlink() or link.readlink() != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
