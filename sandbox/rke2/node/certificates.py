"""The cluster's certificates, made with openssl: one authority for Kubernetes, one for etcd."""

import hashlib
import secrets
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import paths

_AUTHORITY_DAYS, _DAYS = "3650", "365"
_RENEWED_SECONDS = 120 * 24 * 3600
"""A start makes those anew that end sooner than this (RKE2's security/certificates.md)."""
SERVICE_KEY = paths.TLS / "service.key"
"""Signs service account tokens."""


@dataclass(frozen=True, slots=True)
class Authority:
    """`path`.crt and .key of a certificate authority."""

    path: Path
    name: str

    @property
    def certificate(self) -> Path:
        return self.path.with_suffix(".crt")

    @property
    def key(self) -> Path:
        return self.path.with_suffix(".key")

    def make(self) -> None:
        """Make the authority: once in a cluster's life."""
        if not self.certificate.exists():
            paths.write(self.key, new_key())
            usage = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"
            request = ["-key", str(self.key), "-subj", f"/CN={self.name}", "-days", _AUTHORITY_DAYS, "-addext", usage]
            paths.write(self.certificate, _openssl("req", "-x509", "-new", *request), 0o644)

    def issue(self, path: Path, subject: str, usage: str, names: tuple[str, ...] = ()) -> Path:
        """`path`.crt and .key for `subject` ("/O=…/CN=…"), made anew when something of it changed or it ends soon.

        `usage` is serverAuth, clientAuth or both with a comma between; `names` are subject alternative names in
        openssl's form ("IP:10.0.0.1"). Returns the certificate's path.
        """
        certificate, key, stamp = (path.with_suffix(suffix) for suffix in (".crt", ".key", ".made-of"))
        wanted = f"{subject}\n{usage}\n{names}".encode()
        made_of = hashlib.sha256(self.certificate.read_bytes() + wanted).hexdigest()
        if stamp.exists() and stamp.read_text() == made_of and _lasts(certificate):
            return certificate
        paths.write(key, new_key())
        public = _openssl("pkey", "-in", str(key), "-pubout")
        paths.write(certificate, self._sign(public, subject, usage, names), 0o644)
        paths.write(stamp, made_of)
        return certificate

    def answer(self, request: bytes, subject: str, usage: str, names: tuple[str, ...] = ()) -> bytes:
        """The certificate for a signing request's key. What the request says besides is not asked."""
        return self._sign(_openssl("req", "-noout", "-pubkey", stdin=request), subject, usage, names)

    def _sign(self, public: bytes, subject: str, usage: str, names: tuple[str, ...]) -> bytes:
        # Not `openssl x509 -req`: it takes over the request's subject, whatever -subj says.
        extensions = f"basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage={usage}\n"
        extensions += f"subjectAltName={','.join(names)}\n" if names else ""
        signer = ["-CA", str(self.certificate), "-CAkey", str(self.key), "-set_serial", f"0x{secrets.token_hex(16)}"]
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(extensions)
            file.flush()
            wanted = ["-subj", subject, "-days", _DAYS, "-extfile", file.name]
            return _openssl("x509", "-new", "-force_pubkey", "/dev/stdin", *signer, *wanted, stdin=public)


SERVER = Authority(paths.TLS / "server-ca", "rke2-server-ca")
ETCD = Authority(paths.TLS / "etcd/server-ca", "etcd-server-ca")


def make_authorities() -> None:
    """Both authorities and the service accounts' key, unless they are there: made, or given by another server."""
    for folder in (paths.TLS, ETCD.path.parent):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)  # so that etcd's own user can read its files
    if not SERVICE_KEY.exists():
        paths.write(SERVICE_KEY, _openssl("genrsa", "2048"))
    for authority in (SERVER, ETCD):
        authority.make()


def new_key() -> bytes:
    return _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")


def request(key: Path) -> bytes:
    """A signing request for the key's holder; whoever signs it decides on the subject."""
    return _openssl("req", "-new", "-key", str(key), "-subj", "/CN=rke2")


def alternative_names(names: list[str]) -> tuple[str, ...]:
    """Names and IPv4 addresses as openssl wants them."""
    return tuple(f"IP:{name}" if name.replace(".", "").isdigit() else f"DNS:{name}" for name in dict.fromkeys(names))


def _lasts(certificate: Path) -> bool:
    check = ["openssl", "x509", "-noout", "-checkend", str(_RENEWED_SECONDS), "-in", str(certificate)]
    return subprocess.run(check, check=False, capture_output=True).returncode == 0


def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True).stdout
