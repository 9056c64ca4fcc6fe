"""Container images as a static registry in the mirror's tree (OCI distribution paths): busybox and files of ours."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.error import SandboxError

BUSYBOX = Path("/bin/busybox")
CUDA_SAMPLE = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
STANDS_FOR = "mig-k8s.sandbox.stands-for"
"""Annotation of the layer that is an image's own and has its name; its other layers may be those of more images."""
_USERS = b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
_GROUPS = b"root:x:0:\nnogroup:x:65534:\n"

File = tuple[bytes | Path, int]
"""Content, or the file that has it, and mode."""


def publish(  # noqa: PLR0913 - an image has these
    root: Path,
    reference: str,
    files: Mapping[str, File],
    *,
    entrypoint: Sequence[str] = (),
    command: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    user: str = "",
    labels: Mapping[str, str] | None = None,
) -> str:
    """Put the image ``reference`` (registry/name:tag) below ``root``/v2 and return the digest of its manifest.

    ``files`` are by absolute path. A client that is sent here for every registry asks for the name without it: two
    registries must not have the same name with different images.
    """
    settings = {
        "Entrypoint": list(entrypoint),
        "Cmd": list(command),
        "Env": [f"{key}={value}" for key, value in ({"PATH": "/usr/bin:/bin"} | dict(env or {})).items()],
        "User": user,
        "Labels": dict(labels or {}),
    }
    return _put(root, reference, [_layer(_busybox()), _layer(files)], settings)


def publish_name(root: Path, reference: str) -> None:
    """Put an image there that is fetched and never run: it holds nothing but its name."""
    _put(root, reference, [], {})


def stands_for(blob: Path) -> str | None:
    """The image (name:tag) that a published blob has all the size of, "" where another blob has it.

    None for what is not part of an image that `publish` made.
    """
    for manifest in sorted((blob.parents[1] / "manifests").glob("sha256:*")):
        document = json.loads(manifest.read_bytes())
        own = next((layer for layer in document.get("layers", ()) if STANDS_FOR in layer.get("annotations", {})), None)
        if own and blob.name in {part["digest"] for part in (document["config"], *document["layers"])}:
            return str(own["annotations"][STANDS_FOR]) if own["digest"] == blob.name else ""
    return None


def publish_cuda_sample(root: Path, gpu: Path) -> None:
    """NVIDIA's vectorAdd sample; the sum is computed by the GPU program under that name."""
    publish(root, CUDA_SAMPLE, {"/cuda-samples/vectorAdd": (gpu, 0o755)}, command=["/cuda-samples/vectorAdd"])


def publish_pause(root: Path, reference: str) -> None:
    """The image that holds a pod's namespaces."""
    publish(root, reference, {}, entrypoint=["/bin/sleep", "infinity"], user="65535:65535")


def name_of(reference: str) -> tuple[str, str]:
    """Name and tag of an image, without its registry. Raises SandboxError."""
    path, colon, tag = reference.rpartition(":")
    registry, _, name = path.partition("/")
    if not colon or "/" in tag or not name or not ("." in registry or ":" in registry):
        raise SandboxError(f"image reference {reference!r}: expected registry.example/name:tag")
    return name, tag


def _put(root: Path, reference: str, shared: list[bytes], settings: Mapping[str, object]) -> str:
    """`shared` are layers that other images may have too, uncompressed; returns the digest of the manifest."""
    name, tag = name_of(reference)
    repository = root / "v2" / name
    # The last one tells apart images with the same files, which a machine would otherwise fetch only once.
    layers = [*shared, _layer({"/etc/image": (f"{reference}\n".encode(), 0o644)})]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": dict(settings),
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
    }
    blobs = [gzip.compress(layer, compresslevel=1, mtime=0) for layer in layers]
    described = [_describe("application/vnd.oci.image.layer.v1.tar+gzip", blob) for blob in blobs]
    described[-1]["annotations"] = {STANDS_FOR: f"{name}:{tag}"}
    blobs.append(json.dumps(config).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _describe("application/vnd.oci.image.config.v1+json", blobs[-1]),
        "layers": described,
    }
    for blob in blobs:
        place(repository / "blobs" / digest(blob), blob)
    content = json.dumps(manifest).encode()
    for name_of_it in (digest(content), tag):
        place(repository / "manifests" / name_of_it, content)
    return digest(content)


def _busybox() -> dict[str, File]:
    if not BUSYBOX.exists() or b"/ld-linux" in BUSYBOX.read_bytes()[:4096]:
        raise SandboxError(f"{BUSYBOX} is missing or not static: install the Debian package busybox-static")
    return {"/bin/busybox": (BUSYBOX, 0o755), "/etc/passwd": (_USERS, 0o644), "/etc/group": (_GROUPS, 0o644)}


def _applets() -> list[str]:
    said = subprocess.run([str(BUSYBOX), "--list"], capture_output=True, text=True, check=True).stdout
    return [applet for applet in said.split() if applet != "busybox"]


def _layer(files: Mapping[str, File]) -> bytes:
    """An uncompressed tar with every folder on the way, the same bytes for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folders = {str(parent) for path in files for parent in Path(path).parents} - {"/"}
        for folder in sorted({folder.lstrip("/") for folder in folders} | {"tmp"}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for path, (source, mode) in sorted(files.items()):
            content = source if isinstance(source, bytes) else source.read_bytes()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
        for applet in _applets() if "/bin/busybox" in files else []:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return buffer.getvalue()


def digest(content: bytes) -> str:
    """The digest by which a registry and its clients know the content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _describe(kind: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest(blob), "size": len(blob)}


def place(path: Path, content: bytes) -> None:
    """Write the content beside its place, then rename it: the server may be asked for it meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)
