"""Who may ask the supervisor, by password: `server` by the server token, `node` by the agent token (cred/passwd)."""

import csv
import hmac
import io
from dataclasses import dataclass

from . import paths


@dataclass(frozen=True, slots=True)
class Users:
    """The two passwords. Without an agent token of its own a cluster's agents have the server token."""

    server: str
    node: str

    @classmethod
    def parse(cls, text: str) -> "Users":
        passwords = {row[1]: row[0] for row in csv.reader(io.StringIO(text)) if len(row) > 1}
        return cls(server=passwords["server"], node=passwords["node"])

    @classmethod
    def read(cls) -> "Users | None":
        """The passwords on disk, if there are any."""
        return cls.parse(paths.PASSWORDS.read_text()) if paths.PASSWORDS.exists() else None

    def text(self) -> str:
        written = io.StringIO()
        rows = [(self.node, "node", "rke2:agent", ""), (self.server, "server", "rke2:server", "")]
        csv.writer(written, lineterminator="\n").writerows(rows)
        return written.getvalue()

    def write(self) -> None:
        """Write only what changed: the file's age decides whether the next start trusts it (`bootstrap`)."""
        if self.read() != self:
            paths.write(paths.PASSWORDS, self.text())

    def knows(self, user: str, password: str) -> bool:
        known = {"server": self.server, "node": self.node}.get(user)
        return known is not None and hmac.compare_digest(password.encode(), known.encode())
