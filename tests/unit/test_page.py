"""The page of a plan: what it says, that nothing of a stack file becomes HTML, and that it needs nothing else."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from plan import StackPlan, plan_stack, read_settings
from plan.report import markdown
from plan.report.page import page
from plan.report.summary import summary
from plan.stack_file.document import read_stack_file

Planned = Callable[..., StackPlan]
_ROOT = Path(__file__).parents[2]
_EMPTY = {"meta"}
"""Elements that have no end, of those that a page has."""


def _page(path: str) -> str:
    file = read_stack_file(_ROOT / path)
    settings = read_settings(file.mapping, location=file.location, secrets=file.secrets, ask_for_secrets=False)
    return page(summary(plan_stack(settings)), path)


class Reader(HTMLParser):
    """What a browser finds; `wrong` has every end that does not belong to the last beginning."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


FILES = ["Pulumi.dev.yaml", "examples/cluster.yaml", "examples/operator-owned.yaml", "examples/h100.yaml"]


@pytest.mark.parametrize("path", FILES)
def test_a_page_is_well_formed_and_its_headings_are_in_order(path: str) -> None:
    text = _page(path)
    found = Reader(text)
    assert text.startswith('<!doctype html>\n<html lang="en">\n')
    assert (found.open, found.wrong) == ([], [])
    headings = [tag for tag, _ in found.elements if re.fullmatch(r"h\d", tag)]
    assert headings[0] == "h1"
    assert set(headings[1:]) == {"h2"}
    assert found.text["title"][0] == f"{path}: the plan"
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in found.elements


@pytest.mark.parametrize("path", FILES)
def test_a_page_loads_nothing(path: str) -> None:
    """It names addresses, such as that of the chart, and no element or rule of style goes there."""
    text = _page(path)
    found = Reader(text)
    assert not found.tags() & {"script", "link", "img", "iframe", "object", "embed", "image", "use", "a", "base"}
    attributes = {name for _, each in found.elements for name in each}
    assert not attributes & {"src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"}
    assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in text
    assert "@import" not in text


def test_a_page_has_what_the_drawing_has() -> None:
    text = _page("examples/cluster.yaml")
    assert "<p>6 machines in westeurope, strategy mixed, MIG instances by mig-apply over SSH.</p>" in text
    assert '<p class="said">SSH and the Kubernetes API from 203.0.113.7/32.</p>' in text
    found = Reader(text)
    assert found.text["h2"] == [
        "server … server-2 (3 alike)",
        "train",
        "serve … serve-1 (2 alike)",
        "GPU Operator v26.7.0",
        "Only Azure knows",
    ]
    assert found.text["summary"] == [
        "allocatable", "labels", "pods",
        "instances", "allocatable", "labels", "pods",
        "Helm values",
    ]  # fmt: skip
    assert [tag for tag, _ in found.elements].count("svg") == 2
    said = "".join(found.text["pre"])
    assert "mig-mixed-2g-20gb-0 to -2, each sees 2g.20gb\nmig-mixed-1g-10gb-0 sees 1g.10gb" in said
    assert "nvidia-smi mig -i 0 -cgi 2g.20gb:0,2g.20gb:2,2g.20gb:4,1g.10gb:6 -C" in said
    assert "nvidia.com/gpu.product: NVIDIA-A100-80GB-PCIe" in said
    assert "driver:\n  enabled: false\n" in said
    assert "az vm list-skus --location westeurope --size Standard_D4s_v5 --all --output table" in said
    row = "<tr><td>1g.10gb</td><td>19</td><td>6:1</td><td>14</td><td>nvidia.com/mig-1g.10gb</td></tr>"
    assert text.count(row) == 1


def test_a_page_has_the_layouts_that_mig_manager_makes() -> None:
    assert "mig-k8s-operator-owned:\n" in "".join(Reader(_page("examples/operator-owned.yaml")).text["pre"])


def test_a_page_warns(planned: Planned) -> None:
    found = Reader(page(summary(planned(rke2={"version": "v1.35.7+rke2r1"})), "a.yaml"))
    assert "mig-k8s:rke2.sha256" in found.text["code"]
    remedy = "Write what `sha256sum rke2.linux-amd64.tar.gz` prints, of a tarball that you trust."
    assert remedy in found.text["p"]
    assert "Warnings" in found.text["h2"]


def test_nothing_of_a_stack_file_becomes_html(planned: Planned) -> None:
    evil = "<script>alert(1)</script>&\"'"
    plan = summary(planned(gpuOperator={"values": {"operator": {"annotations": {evil: evil}}}}))
    plan["warnings"] = [{"path": evil, "value": evil, "what": evil, "remedy": evil}]
    plan["nodes"][0]["labels"] = {evil: evil}
    plan["nodes"][0]["name"] = evil
    text = page(plan, evil, digest=f"**{evil}** `{evil}`\n- {evil}\n")
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;") > 10
    found = Reader(text)
    assert (found.open, found.wrong, "script" in found.tags()) == ([], [], False)


def test_the_markdown_of_the_digest_as_html() -> None:
    assert markdown.html(
        "**Cost:** machines reboot: a.\n\n**Settings**\n\n- `mig.strategy`: single → mixed\n- `x`: a*b → <c>\n\n"
        "**a** stays.\n- GPU 0: makes 1 × 1g.10gb\n"
    ) == (
        "<p><strong>Cost:</strong> machines reboot: a.</p>\n"
        "<p><strong>Settings</strong></p>\n"
        "<ul>\n<li><code>mig.strategy</code>: single → mixed</li>\n<li><code>x</code>: a*b → &lt;c&gt;</li>\n</ul>\n"
        "<p><strong>a</strong> stays.</p>\n"
        "<ul>\n<li>GPU 0: makes 1 × 1g.10gb</li>\n</ul>"
    )


def test_code_of_the_digest_is_shown_as_it_is() -> None:
    """Stars in it do not make bold text, and code in bold text is both."""
    assert markdown.html("`a**b**c` **`pulumi up` refuses it**") == (
        "<p><code>a**b**c</code> <strong><code>pulumi up</code> refuses it</strong></p>"
    )
