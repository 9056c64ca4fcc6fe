"""The digest's Markdown as HTML: paragraphs, lists, bold text and code, which is all that the digest writes."""

import re
from collections.abc import Iterator
from html import escape
from itertools import groupby

_ITEM = "- "
_CODE = re.compile(r"`([^`]+)`")
_BOLD = "**"


def html(markdown: str) -> str:
    """The digest as HTML that is safe in a page, whatever the stack file contains."""
    return "\n".join(_blocks(markdown))


def _blocks(markdown: str) -> Iterator[str]:
    for is_item, lines in groupby(filter(None, markdown.splitlines()), key=lambda line: line.startswith(_ITEM)):
        if is_item:
            yield "<ul>"
            yield from (f"<li>{_inline(line.removeprefix(_ITEM))}</li>" for line in lines)
            yield "</ul>"
        else:
            yield from (f"<p>{_inline(line)}</p>" for line in lines)


def _inline(text: str) -> str:
    """Bold text may have code in it; in code nothing is bold."""
    found, bold = "", False
    for number, part in enumerate(_CODE.split(escape(text))):
        if number % 2:
            found += f"<code>{part}</code>"
            continue
        first, *others = part.split(_BOLD)
        found += first
        for each in others:
            bold = not bold
            found += f"<{'' if bold else '/'}strong>{each}"
    return found + ("</strong>" if bold else "")
