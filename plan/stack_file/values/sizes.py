"""A size of the stack file against the catalogue: what is sold, and which sizes cannot serve, each with its reason."""

import re

from plan.gpu.catalogue import vm_sizes
from plan.problems import Refusal, nearest_word

_NO_MIG = "its GPU ({}) has no MIG"
_ARM = "an Arm machine; the images, drivers and programs here are x86-64"
_CANNOT_SERVE = (
    (r"NC\d+as_T4_v3", _NO_MIG.format("T4")),
    (r"NC\d+r?s_v3", _NO_MIG.format("V100")),
    (r"NC\d+r?s_v2", _NO_MIG.format("P100")),
    (r"NC\d+r?", _NO_MIG.format("K80")),
    (r"NC\d+ads_A10_v4", _NO_MIG.format("A10")),
    (r"ND\d+rs_v2", _NO_MIG.format("V100")),
    (r"ND\d+r?s", _NO_MIG.format("P40")),
    (r"NV\d+ad(m)?s_A10_v5", _NO_MIG.format("A10")),
    (r"NV\d+(s_v2|s_v3)?", _NO_MIG.format("M60")),
    (r"NV\d+as_v4", _NO_MIG.format("Radeon MI25")),
    (r"N[GV]\d+a[a-z]*_V620(_v1)?", _NO_MIG.format("Radeon V620")),
    (r"NV\d+a[a-z]*_V710(_v5)?", _NO_MIG.format("Radeon Pro V710")),
    (r"ND\d+i?sr?_MI300X_v5", _NO_MIG.format("Radeon MI300X")),
    (r"ND\d+[a-z]*(_NDR)?_GB[23]00(_NDR)?_v6", _ARM),
    (r"[DEFB]\d+(-\d+)?[a-z]*p[a-z]*_v\d", _ARM),
    (r"NCC\d+[a-z]*_H100_v5", "a confidential size; whether its GPU can be divided in that mode is not known"),
    (
        r"NC\d+[a-z]*(_[a-z]+)?_RTXPRO6000BSE_v6",
        "its GPU is a slice that Azure's host cuts (SR-IOV, GRID driver), and MIG is the host's too",
    ),
)
"""Azure sizes by pattern, without `Standard_` (Azure's size pages)."""


def vm_size(text: str) -> str:
    """An Azure size of the catalogue."""
    sizes = vm_sizes()
    if text in sizes:
        return text
    with_mig = ", ".join(name for name, size in sizes.items() if size.gpu is not None)
    anything = f"{with_mig}; without GPU: Standard_D, E and F sizes of v5 and v6 such as Standard_D4s_v5"
    for pattern, reason in _CANNOT_SERVE:
        if re.fullmatch(f"Standard_{pattern}", text, flags=re.IGNORECASE):
            raise Refusal(reason, allowed=with_mig if pattern.startswith("N") else anything)
    near = nearest_word(text, [name for name in sizes if _kind(name) == _kind(text)])
    raise Refusal(
        "no size of this program's catalogue",
        allowed=anything,
        remedy=f"Write {near}." if near else "",
    )


def _kind(name: str) -> tuple[str, str]:
    """The family and the GPU that a size names: one of another kind is not a substitute."""
    found = re.match(r"(?:standard_)?([a-z]*)(?:.*_([a-z]+\d+[a-z\d]*)_v\d)?", name.lower())
    return (found[1], found[2] or "") if found else ("", "")
