"""A section of the desired state as environment variables of a stage, by one rule for all of them."""

import dataclasses

from machine.documents.form import Form


def variables(name: str, section: Form) -> dict[str, str]:
    """`openKernelModules: false` of `driver` → `DRIVER_OPEN_KERNEL_MODULES=0`.

    true and false are 1 and 0, nothing is the empty text, a list is its items with spaces between.
    """
    return {
        f"{name}_{field.name}".upper(): _text(getattr(section, field.name)) for field in dataclasses.fields(section)
    }


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return " ".join(map(_text, value))
    return str(value)
