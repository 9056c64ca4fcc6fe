"""The archive of a release of Debian or Ubuntu: whose it is, and which suites it has."""

import platform
from dataclasses import dataclass

from sandbox.debian import apt
from sandbox.error import SandboxError
from sandbox.process import run

_POCKETS = ("", "-updates", "-security")


@dataclass(frozen=True)
class Archive:
    """Where packages come from; `origin` is what its Release files say."""

    origin: str
    suite: str

    @classmethod
    def of_the_host(cls) -> "Archive":
        host = platform.freedesktop_os_release()
        return cls("Ubuntu" if host.get("ID") == "ubuntu" else "Debian", host.get("VERSION_CODENAME", ""))

    @property
    def suites(self) -> list[str]:
        """The release itself, its updates and its security."""
        return [f"{self.suite}{pocket}" for pocket in _POCKETS]

    def sources(self) -> str:
        """One-line apt sources: those of the host for this suite, its updates and its security. Raises SandboxError."""
        said = ""
        if not (listed := self._listed()):
            try:  # images of hosts come without lists, and may have all packages that are needed
                apt.get("update")
            except SandboxError as error:
                said = f". {error}"
            listed = self._listed()
        if not listed:
            raise SandboxError(
                f"this host's apt has no list of {self.origin} {self.suite}, of which machines are made, nor after"
                f" `apt-get update`; hosts are Debian 12 and 13, Ubuntu 22.04 and 24.04{said}"
            )
        return "\n".join(listed) + "\n"

    def _listed(self) -> list[str]:
        """Empty where the release itself is not among them."""
        line = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
        asked = ["--format", line, "Created-By: Packages", f"Origin: {self.origin}"]
        shown = run(["apt-get", "indextargets", *asked]).splitlines()
        found = sorted({entry for entry in shown if entry.split()[2] in self.suites})
        return found if any(entry.split()[2] == self.suite for entry in found) else []
