"""The README is short and says what the repository does today, and so do the pages that it leads to."""

import re
from pathlib import Path

import yaml

from plan import plan_stack, read_settings
from plan.report.summary import summary
from plan.report.svg import picture
from plan.stack_file.document import read_stack_file

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ("README.md", "sandbox/README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_first_screen_says_what_it_is_then_shows_it_then_how_to_get_it() -> None:
    """On about two screens; everything else is in pages that it leads to."""
    assert re.findall(r"^#+ (.*)$", README, re.MULTILINE) == [
        "mig-k8s",
        "What it looks like",
        "Two commands, without an account and without a GPU",
        "With an Azure account",
        "What is real",
        "Where to read on",
    ]
    assert re.findall(r"!\[.+?\]\((.*?)\)", README) == ["docs/layout.svg", "docs/sandbox.svg"]
    assert len(README.splitlines()) <= 100
    commands = README.partition("## Two commands")[2].partition("```\n")[2].partition("```")[0]
    assert [line.partition("#")[0].strip() for line in commands.splitlines()] == [
        "sudo make sandbox",
        "sudo make test",
    ]


def test_the_readme_leads_to_every_page() -> None:
    pages = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - {"docs/plan-json.md"}
    assert {link for link in re.findall(r"\]\(([^)#]+)\)", README) if link.startswith("docs/")} >= pages


def test_the_page_on_configuration_lists_every_key_of_a_stack_file_and_no_other() -> None:
    """Its table has one row for each key of the reference, secrets included."""
    reference = page("docs/config-reference.yaml")
    keys = set(yaml.safe_load(reference)["config"]) | set(re.findall(r"# (mig-k8s:\w+): +\{secure:", reference))
    assert set(re.findall(r"^\| `([\w-]+:\w+)` \|", page("docs/configuration.md"), re.MULTILINE)) == keys


def test_every_make_target_of_a_page_exists() -> None:
    """A command somebody copies is one that make knows."""
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    for name in PAGES:
        named = re.findall(r"`(?:sudo )?make ([a-z-]+)|^(?:sudo )?make ([a-z-]+)", page(name), re.MULTILINE)
        assert {target for targets in named for target in targets if target} <= targets, name


def test_every_make_target_with_a_line_of_help_is_on_the_page_of_commands() -> None:
    helped = set(re.findall(r"^([a-z-]+):.*## ", page("Makefile"), re.MULTILINE))
    hidden = {"help", "setup", "engine", "sandbox-status", "sandbox-clean"}
    assert helped - hidden <= set(re.findall(r"`make ([a-z-]+)", page("docs/commands.md")))


def test_every_link_of_a_page_leads_somewhere() -> None:
    """To a file, and to a heading where it names one."""
    lost = []
    for name in PAGES:
        for path, anchor in re.findall(r"\]\(((?!\w+:)[^)#]*)(#[^)]*)?\)", page(name)):
            target = (ROOT / name).parent / path if path else ROOT / name
            if not target.exists() or (anchor and anchor not in _anchors(target)):
                lost.append(f"{name}: {path}{anchor}")
    assert lost == []


def _anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {"#" + re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_picture_in_the_readme_is_that_of_the_development_stack() -> None:
    """`python -m plan show Pulumi.dev.yaml --svg docs/layout.svg` would change nothing."""
    file = read_stack_file(ROOT / "Pulumi.dev.yaml")
    settings = read_settings(file.mapping, location=file.location, secrets=file.secrets, ask_for_secrets=False)
    drawn = picture(summary(plan_stack(settings)))
    assert (ROOT / "docs/layout.svg").read_text(encoding="utf-8") == drawn
