"""The certificate that the mirror shows over https, and that machines trust."""

from pathlib import Path

from sandbox.process import run

_KEY, _CERTIFICATE = "mirror.key", "mirror.crt"


def make(folder: Path, address: str) -> None:
    """Make the certificate unless it is there. It is signed by itself: clients trust it as an authority."""
    if (folder / _CERTIFICATE).exists():
        return
    draft = folder / f"{_CERTIFICATE}.new"
    draft.unlink(missing_ok=True)
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-days", "3650", "-subj", "/CN=mirror", "-addext", f"subjectAltName=IP:{address}"]
    run([*request, *subject, "-keyout", str(folder / _KEY), "-out", str(draft)])
    draft.replace(folder / _CERTIFICATE)


def files(folder: Path) -> tuple[Path, Path]:
    """Certificate and key."""
    return folder / _CERTIFICATE, folder / _KEY
