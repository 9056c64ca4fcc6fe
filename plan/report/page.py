"""A plan as one HTML page that needs nothing else: no script, no other file, no network."""

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

from plan.report import markdown, words
from plan.report.svg import picture
from plan.yaml_text import yaml_text

_IN_THE_OPEN = ("user-data", "reboots", "fabric")
"""Facts of a machine that are always shown; the reader opens the others."""


def page(plan: dict[str, Any], title: str, *, digest: str | None = None) -> str:
    """The plan of `plan.report.summary.summary`. `digest`: what a change to it costs (`plan.report.digest`)."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}: the plan</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            "<main>",
            *_body(plan, title, digest),
            "</main>",
            "</body>",
            "</html>\n",
        )
    )


def _body(plan: dict[str, Any], title: str, digest: str | None) -> Iterator[str]:
    yield _element("h1", title)
    yield _element("p", f"{words.headline(plan)}.")
    yield f'<p class="said">{escape(words.admins(plan))}.</p>'
    if digest is not None:
        yield '<section class="change">'
        yield _element("h2", "What the change does")
        yield markdown.html(digest)
        yield "</section>"
    if plan["warnings"]:
        yield '<section class="warnings">'
        yield _element("h2", "Warnings")
        for warning in plan["warnings"]:
            yield f"<p><code>{escape(words.warned_of(warning))}</code></p>"
            yield _element("p", warning["what"])
            yield _element("p", warning["remedy"])
        yield "</section>"
    for names, node in words.alike(plan["nodes"]):
        yield from _machine(plan, names, node)
    yield from _operator(plan)
    yield _element("h2", "Only Azure knows")
    for command, questions in words.questions(plan):
        yield from (_element("p", question) for question in questions)
        yield _block(command)


def _machine(plan: dict[str, Any], names: str, node: dict[str, Any]) -> Iterator[str]:
    yield _element("h2", names)
    yield f'<p class="said">{escape(node["role"])}, {escape(node["vmSize"])}</p>'
    if node["gpus"]:
        drawn = picture({**plan, "nodes": [{**node, "name": names}]})
        yield f'<figure tabindex="0">\n{drawn}</figure>'
    yield "<dl>"
    facts = dict(words.facts(node))
    for name in _IN_THE_OPEN:
        if name in facts:
            yield _element("dt", name) + _element("dd", facts[name][0])
    yield "</dl>"
    if instances := [(what, alike) for what, alike in words.alike_gpus(node["gpus"]) if alike[0]["instances"]]:
        yield from _details("instances", (line for what, alike in instances for line in _instances(what, alike)))
    for name, lines in facts.items():
        if name not in _IN_THE_OPEN:
            yield from _details(name, [_block("\n".join(lines))])


def _instances(what: str, alike: list[dict[str, Any]]) -> Iterator[str]:
    yield _element("p", " · ".join(what.split("  ")))
    yield '<div class="table"><table>'
    yield _row("th", ("profile", "id", "start:size", "SM", "resource under mixed"))
    for each in alike[0]["instances"]:
        place = f"{each['start']}:{each['size']}"
        yield _row("td", (each["profile"], each["id"], place, each["multiprocessors"], each["resource"]))
    yield "</table></div>"
    yield _element("p", "By hand:")
    yield _block(words.by_hand(alike))


def _operator(plan: dict[str, Any]) -> Iterator[str]:
    operator = plan["gpuOperator"]
    yield _element("h2", f"GPU Operator {operator['version']}")
    yield f'<p class="said">{escape(operator["repository"] or operator["chart"])}</p>'
    reasons = "".join(f"# {path}: {reason}\n" for path, reason in operator["reasons"].items())
    yield from _details("Helm values", [_block(yaml_text(operator["values"]) + reasons)])
    if plan["migPartedConfig"]:
        yield from _details("layouts of MIG Manager", [_block(plan["migPartedConfig"])])


def _details(title: str, inside: Iterable[str]) -> Iterator[str]:
    yield f"<details><summary>{escape(title)}</summary>"
    yield from inside
    yield "</details>"


def _row(cell: str, values: Iterable[object]) -> str:
    return "<tr>" + "".join(_element(cell, str(value)) for value in values) + "</tr>"


def _block(text: str) -> str:
    # A reader without a mouse can scroll a block that has the focus.
    return f'<pre tabindex="0">{escape(text.rstrip())}</pre>'


def _element(tag: str, text: str) -> str:
    return f"<{tag}>{escape(text)}</{tag}>"
