"""The digest's words of each machine, as tests/changes.py has them: what is read out of its text."""

import re

_SAID = {
    "is new:": "new",
    "is removed,": "removed",
    "is replaced:": "replaced",
    "is resized (": "resized",
    "is refused:": "refused",
    "is called ": "refused",
    "stays, with one reboot:": "rebooted",
}


def said(text: str) -> dict[str, str]:
    """The word of each machine that has a paragraph."""
    words = {}
    for paragraph in text.split("\n\n"):
        if found := re.match(r"\*\*([\w-]+)\*\* (is|stays)", paragraph):
            words[found[1]] = _word(paragraph.removeprefix(f"**{found[1]}** "))
    return words


def _word(paragraph: str) -> str:
    for beginning, word in _SAID.items():
        if paragraph.startswith(beginning):
            return word
    assert paragraph.startswith("stays, without a reboot"), paragraph
    goes = "removed devices:" in paragraph or "changes its MIG mode at once" in paragraph
    parts = [
        *(["pods"] if goes else []),
        *(["restarted"] if re.search(r"RKE2 restarts once|it restarts once", paragraph) else []),
    ]
    return ", ".join(parts) or "stays"
