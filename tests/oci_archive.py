"""An archive of container images, as `docker save` writes one, out of what a mirror's registry has."""

import io
import json
import tarfile
from pathlib import Path

from sandbox.mirror import registry


def write(file: Path, tree: Path, *references: str) -> None:
    """The archive of these images; a name that ends in .gz is compressed. `tree`: the mirror's."""
    contents: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    manifests = []
    for reference in references:
        name, tag = registry.name_of(reference)
        repository = tree / "v2" / name
        manifest = (repository / "manifests" / tag).read_bytes()
        document = json.loads(manifest)
        for part in (document["config"], *document["layers"]):
            contents[_place(part["digest"])] = (repository / "blobs" / part["digest"]).read_bytes()
        contents[_place(registry.digest(manifest))] = manifest
        manifests.append(
            {
                "mediaType": document["mediaType"],
                "digest": registry.digest(manifest),
                "size": len(manifest),
                "annotations": {"io.containerd.image.name": reference},
            }
        )
    contents["index.json"] = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    with tarfile.open(file, "w:gz" if file.name.endswith(".gz") else "w") as tar:
        for path, content in contents.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"
