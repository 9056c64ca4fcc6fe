"""Azure images: the Ubuntu ones this program knows, and what they bring."""

import re
from dataclasses import dataclass

from plan.problems import Refusal

DEFAULT = "Canonical:ubuntu-24_04-lts:server:latest"
JAMMY = "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:latest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """What an image is: its Ubuntu release, and whether the NVIDIA driver is in it."""

    ubuntu: str
    has_driver: bool


_KNOWN = {
    ("canonical", "ubuntu-24_04-lts", "server"): Image(ubuntu="24.04", has_driver=False),
    ("canonical", "ubuntu-24_04-lts", "minimal"): Image(ubuntu="24.04", has_driver=False),
    ("canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2"): Image(ubuntu="22.04", has_driver=False),
    ("canonical", "0001-com-ubuntu-minimal-jammy", "minimal-22_04-lts-gen2"): Image(ubuntu="22.04", has_driver=False),
    ("microsoft-dsvm", "ubuntu-hpc", "2404"): Image(ubuntu="24.04", has_driver=True),
    ("microsoft-dsvm", "ubuntu-hpc", "2204"): Image(ubuntu="22.04", has_driver=True),
}
_ALLOWED = f"{DEFAULT}, {JAMMY}, or microsoft-dsvm:ubuntu-hpc:2404:latest with driver.source image"


def image_urn(text: str) -> str:
    """An image reference publisher:offer:sku:version of a known Ubuntu Gen2 image."""
    image(text)
    return text


def image(urn: str) -> Image:
    """What the image of this URN is. Raises Refusal."""
    parts = urn.split(":")
    if len(parts) != 4 or not all(re.fullmatch(r"[A-Za-z0-9._-]+", part) for part in parts):
        raise Refusal("not an image URN", allowed="publisher:offer:sku:version", remedy=f"Write {DEFAULT}.")
    publisher, offer, sku, version = parts
    if version != "latest" and not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise Refusal(f"{version} is not an image version", allowed="latest, or digits as in 24.04.202611010")
    if "gen1" in sku or sku in {"22_04-lts", "20_04-lts"}:
        meant = JAMMY if sku == "22_04-lts" else DEFAULT
        raise Refusal("a Gen1 image; GPU sizes with MIG boot Gen2 only", allowed=_ALLOWED, remedy=f"Write {meant}.")
    if re.search(r"20[_.]?04|focal|18[_.]?04|bionic", urn):
        raise Refusal(
            "this Ubuntu is out of support, and the GPU Operator's", allowed=_ALLOWED, remedy=f"Write {DEFAULT}."
        )
    if "arm64" in sku:
        raise Refusal("an ARM image; these sizes are x86-64", allowed=_ALLOWED, remedy=f"Write {DEFAULT}.")
    known = _KNOWN.get((publisher.lower(), offer.lower(), sku.lower()))
    if known is None:
        raise Refusal("not an Ubuntu 22.04 or 24.04 Gen2 image this program knows", allowed=_ALLOWED)
    return known
