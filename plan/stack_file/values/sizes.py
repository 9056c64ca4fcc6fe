"""A size of the stack file against the catalogue: what is sold, and which GPUs cannot be divided."""

import re

from plan.gpu.catalogue import vm_sizes
from plan.problems import Refusal, nearest_word

_WITHOUT_MIG = (
    (r"Standard_NC\d+as_T4_v3", "T4"),
    (r"Standard_NC\d+r?s_v3", "V100"),
    (r"Standard_NC\d+r?s_v2", "P100"),
    (r"Standard_NC\d+r?", "K80"),
    (r"Standard_ND\d+rs_v2", "V100"),
    (r"Standard_ND\d+r?s", "P40"),
    (r"Standard_NV\d+ad(m)?s_A10_v5", "A10"),
    (r"Standard_NV\d+(s_v2|s_v3)?", "M60"),
    (r"Standard_NV\d+as_v4", "Radeon MI25"),
    (r"Standard_N[GV]\d+a[a-z]*_V620(_v1)?", "Radeon V620"),
    (r"Standard_ND\d+i?sr?_MI300X_v5", "Radeon MI300X"),
)
"""Azure GPU sizes whose GPU has no MIG (Azure's size pages)."""


def vm_size(text: str) -> str:
    """An Azure size of the catalogue."""
    sizes = vm_sizes()
    if text in sizes:
        return text
    with_mig = ", ".join(name for name, size in sizes.items() if size.gpu is not None)
    for pattern, gpu in _WITHOUT_MIG:
        if re.fullmatch(pattern, text, flags=re.IGNORECASE):
            raise Refusal(
                f"its GPU ({gpu}) has no MIG",
                allowed=with_mig,
                remedy="Write Standard_NC24ads_A100_v4 for one A100 80 GB.",
            )
    # A size with a GPU is no substitute for one without, nor the other way round.
    with_gpu = text.lower().startswith("standard_n")
    near = nearest_word(text, [name for name, size in sizes.items() if (size.gpu is not None) == with_gpu])
    raise Refusal(
        "no size of this program's catalogue",
        allowed=f"{with_mig}; without GPU: Standard_D, E and F sizes of v5 and v6 such as Standard_D4s_v5",
        remedy=f"Write {near}." if near else "",
    )
