"""The cluster's certificates, made with openssl. One authority signs for servers and clients alike."""

import hashlib
import subprocess
from pathlib import Path

from . import paths

_DAYS = "3650"
AUTHORITY = paths.TLS / "server-ca.crt"
SERVICE_KEY = paths.TLS / "service.key"


def make_authority() -> None:
    """The authority and the key that signs service account tokens; made once in a cluster's life."""
    paths.TLS.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not SERVICE_KEY.exists():
        paths.write(SERVICE_KEY, _openssl("genrsa", "2048"))
    if not AUTHORITY.exists():
        key = AUTHORITY.with_suffix(".key")
        paths.write(key, _key())
        usage = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"
        request = ["-key", str(key), "-subj", "/CN=rke2-server-ca", "-days", _DAYS, "-addext", usage]
        paths.write(AUTHORITY, _openssl("req", "-x509", "-new", *request), 0o644)


def issue(path: Path, subject: str, usage: str, names: tuple[str, ...] = ()) -> Path:
    """`path`.crt and .key for `subject` ("/O=…/CN=…"), made anew only when something of it changed.

    `usage` is serverAuth or clientAuth; `names` are subject alternative names in openssl's form ("IP:10.0.0.1").
    Returns the certificate's path.
    """
    certificate, key, stamp = (path.with_suffix(suffix) for suffix in (".crt", ".key", ".made-of"))
    extensions = f"basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage={usage}\n"
    if names:
        extensions += f"subjectAltName={','.join(names)}\n"
    made_of = hashlib.sha256(AUTHORITY.read_bytes() + f"{subject}\n{extensions}".encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == made_of:
        return certificate
    path.parent.mkdir(parents=True, exist_ok=True)
    paths.write(key, _key())
    request = _openssl("req", "-new", "-key", str(key), "-subj", subject)
    with_authority = ["-CA", str(AUTHORITY), "-CAkey", str(AUTHORITY.with_suffix(".key")), "-CAcreateserial"]
    extension_file = path.with_suffix(".extensions")
    extension_file.write_text(extensions)
    signed = _openssl("x509", "-req", *with_authority, "-days", _DAYS, "-extfile", str(extension_file), stdin=request)
    extension_file.unlink()
    paths.write(certificate, signed, 0o644)
    paths.write(stamp, made_of)
    return certificate


def _key() -> bytes:
    return _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")


def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, check=True, capture_output=True).stdout
