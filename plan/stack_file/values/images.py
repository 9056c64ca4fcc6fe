"""Azure images: the Ubuntu ones this program knows and what they bring, and images of people's own in a gallery."""

import re
from dataclasses import dataclass

from plan.problems import Refusal

DEFAULT = "Canonical:ubuntu-24_04-lts:server:latest"
JAMMY = "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:latest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """What an image is: its Ubuntu release, and whether the NVIDIA driver is in it. None: only its maker knows."""

    ubuntu: str | None
    has_driver: bool | None


_KNOWN = {
    ("canonical", "ubuntu-24_04-lts", "server"): Image(ubuntu="24.04", has_driver=False),
    ("canonical", "ubuntu-24_04-lts", "minimal"): Image(ubuntu="24.04", has_driver=False),
    ("canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2"): Image(ubuntu="22.04", has_driver=False),
    ("canonical", "0001-com-ubuntu-minimal-jammy", "minimal-22_04-lts-gen2"): Image(ubuntu="22.04", has_driver=False),
    ("microsoft-dsvm", "ubuntu-hpc", "2404"): Image(ubuntu="24.04", has_driver=True),
    ("microsoft-dsvm", "ubuntu-hpc", "2204"): Image(ubuntu="22.04", has_driver=True),
}
_ALLOWED = (
    f"{DEFAULT}, {JAMMY}, microsoft-dsvm:ubuntu-hpc:2404:latest with driver.source image, or the ID of an image in a"
    " gallery"
)
_NAMED = r"[A-Za-z0-9._-]+"
_VERSION = r"(/versions/\d+\.\d+\.\d+)?"
_GALLERIES = {
    "id": r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft\.Compute"
    rf"/galleries/{_NAMED}/images/{_NAMED}",
    "community_gallery_image_id": rf"/communityGalleries/{_NAMED}/images/{_NAMED}",
    "shared_gallery_image_id": rf"/sharedGalleries/{_NAMED}/images/{_NAMED}",
}
"""Field of an image reference → the form of an ID in it, without its version: in a gallery of one's own, in a public
one, in one that another subscription shares (Compute REST API, ImageReference)."""


def image_name(text: str) -> str:
    """The URN publisher:offer:sku:version of a known Ubuntu Gen2 image, or the ID of an image in a gallery."""
    image(text)
    return text


def reference(name: str) -> dict[str, str]:
    """The image as Azure is told of it: field → value."""
    if name.startswith("/"):
        return {_gallery(name): name}
    return dict(zip(("publisher", "offer", "sku", "version"), name.split(":"), strict=True))


def image(name: str) -> Image:
    """What the image of this name is. Raises Refusal."""
    if name.startswith("/"):
        _gallery(name)
        return Image(ubuntu=None, has_driver=None)
    parts = name.split(":")
    if len(parts) != 4 or not all(re.fullmatch(r"[A-Za-z0-9._-]+", part) for part in parts):
        raise Refusal("not an image URN", allowed="publisher:offer:sku:version", remedy=f"Write {DEFAULT}.")
    publisher, offer, sku, version = parts
    if version != "latest" and not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise Refusal(f"{version} is not an image version", allowed="latest, or digits as in 24.04.202611010")
    if "gen1" in sku or sku in {"22_04-lts", "20_04-lts"}:
        meant = JAMMY if sku == "22_04-lts" else DEFAULT
        raise Refusal("a Gen1 image; GPU sizes with MIG boot Gen2 only", allowed=_ALLOWED, remedy=f"Write {meant}.")
    if re.search(r"20[_.]?04|focal|18[_.]?04|bionic", name):
        raise Refusal(
            "this Ubuntu is out of support, and the GPU Operator's", allowed=_ALLOWED, remedy=f"Write {DEFAULT}."
        )
    if "arm64" in sku:
        raise Refusal("an ARM image; these sizes are x86-64", allowed=_ALLOWED, remedy=f"Write {DEFAULT}.")
    known = _KNOWN.get((publisher.lower(), offer.lower(), sku.lower()))
    if known is None:
        raise Refusal("not an Ubuntu 22.04 or 24.04 Gen2 image this program knows", allowed=_ALLOWED)
    return known


def _gallery(name: str) -> str:
    """Azure's field for this ID. Azure reads upper and lower case alike."""
    for field, form in _GALLERIES.items():
        if re.fullmatch(form + _VERSION, name, re.IGNORECASE):
            return field
    raise Refusal(
        "not the ID of an image in a gallery",
        allowed="/subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.Compute/galleries/GALLERY/images/IMAGE,"
        " /communityGalleries/GALLERY/images/IMAGE or /sharedGalleries/GALLERY/images/IMAGE, each with or without"
        " /versions/1.0.0",
    )
