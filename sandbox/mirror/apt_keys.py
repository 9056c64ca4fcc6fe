"""The keys that sign the apt repositories of the mirror, one each: throw-away ones, made once for each user."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.cache import cached, digest
from sandbox.process import run

REPOSITORIES = ("ubuntu", "toolkit")


def public(repository: str) -> bytes:
    """The public key, as a keyring that apt takes."""
    return (_keys() / f"{repository}.gpg").read_bytes()


def armoured(repository: str) -> str:
    """The public key as text."""
    return (_keys() / f"{repository}.pub").read_text()


def fingerprint(repository: str) -> str:
    """40 hexadecimal digits."""
    return (_keys() / f"{repository}.fingerprint").read_text().strip()


def sign(release: Path, repository: str) -> None:
    """InRelease and Release.gpg beside ``release``, by the key of ``repository``."""
    with _keyring(_keys() / f"{repository}.sec") as gpg:
        sealed = release.with_name("InRelease")
        run([*gpg, "--yes", "--output", str(sealed), "--clearsign", str(release)])
        run([*gpg, "--yes", "--armor", "--output", f"{release}.gpg", "--detach-sign", str(release)])


def _keys() -> Path:
    """Public and secret halves."""
    return cached("apt-keys", digest("ed25519", "v2"), _make_keys)


def _make_keys(draft: Path) -> None:
    draft.chmod(0o700)
    for repository in REPOSITORIES:
        owner = f"mig-k8s sandbox {repository} repository"
        with _keyring() as gpg:
            run([*gpg, "--passphrase", "", "--quick-generate-key", owner, "ed25519", "sign", "never"])
            listed = run([*gpg, "--with-colons", "--list-keys", owner])
            run([*gpg, "--output", str(draft / f"{repository}.gpg"), "--export"])
            run([*gpg, "--armor", "--output", str(draft / f"{repository}.pub"), "--export"])
            run([*gpg, "--armor", "--output", str(draft / f"{repository}.sec"), "--export-secret-keys"])
        number = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        (draft / f"{repository}.fingerprint").write_text(number + "\n")


@contextmanager
def _keyring(secret: Path | None = None) -> Iterator[list[str]]:
    """The first words of a gpg command with a keyring of its own, whose agent ends afterwards."""
    with tempfile.TemporaryDirectory(prefix="mk8s-gpg-", dir="/tmp") as home:  # short: the agent has a socket there
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback"]
        try:
            if secret is not None:
                run([*gpg, "--import", str(secret)])
            yield gpg
        finally:
            run(["gpgconf", "--homedir", home, "--kill", "all"])
