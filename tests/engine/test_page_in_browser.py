"""The page of `plan show --html` in a real browser, on a phone and on a desk, light and dark."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import PROGRAMS, Browser, browser, program

from plan.__main__ import main

ROOT = Path(__file__).parents[2]
FILES = {
    "one machine": ["Pulumi.dev.yaml"],
    "a change": ["examples/single.yaml", "Pulumi.dev.yaml"],
    "eight GPUs": ["examples/h100.yaml"],
    "a cluster": ["examples/cluster.yaml"],
    "MIG Manager": ["examples/operator-owned.yaml"],
}
OPEN = "document.querySelectorAll('details').forEach((each) => { each.open = true }); "
PAINTED = """(() => {
  const drawn = document.querySelector("figure svg").getBoundingClientRect(), paper = document.querySelector(".paper");
  return [drawn.width > 300, drawn.height > 80, getComputedStyle(document.body).backgroundColor,
    getComputedStyle(paper).fill];
})()"""
CONTRAST = """(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((each) => each / 255)
      .map((each) => each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const colour = element ? getComputedStyle(element).backgroundColor : "rgb(255, 255, 255)";
    return /, 0\\)$/.test(colour) ? behind(element.parentElement) : colour;
  };
  return [...document.querySelectorAll("h1, h2, p, li, dt, dd, th, td, summary, pre, code, strong")]
    .map((element) => [element, ...[getComputedStyle(element).color, behind(element)].map(light).sort((a, b) => b - a)])
    .filter(([, more, less]) => (more + 0.05) / (less + 0.05) < 4.5).map(([element]) => element.textContent);
})()"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = program()
    if path is None:
        pytest.skip(f"no browser on the PATH; one of {', '.join(PROGRAMS)} would do")
    with browser(path, tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    monkeypatch.chdir(ROOT)
    path = tmp_path / "page.html"
    assert main(["show", *FILES[request.param], "--html", str(path)]) == 0
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 800)])
@pytest.mark.parametrize("page", FILES, indirect=True)
def test_a_page_fits_its_window_and_shows_its_layouts(
    shown: Browser, page: Path, width: int, height: int, scheme: str
) -> None:
    """With everything open that can be opened; what is wider scrolls inside itself."""
    shown.show(page, width=width, height=height, scheme=scheme)
    assert shown.value("innerWidth") == width
    assert shown.value(OPEN + "document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    paper = {"light": ["rgb(255, 255, 255)", "rgb(255, 255, 255)"], "dark": ["rgb(11, 17, 32)", "rgb(17, 24, 39)"]}
    assert shown.value(PAINTED) == [True, True, *paper[scheme]]
    assert shown.value(CONTRAST) == []


def test_a_long_name_goes_on_in_the_next_line(shown: Browser, tmp_path: Path) -> None:
    stack, page = tmp_path / f"Pulumi.{'long' * 20}.yaml", tmp_path / "page.html"
    stack.write_text((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["show", str(stack), "--html", str(page)]) == 0
    shown.show(page, width=360, height=740, scheme="light")
    assert shown.value("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("page", ["a change"], indirect=True)
def test_a_page_loads_nothing_but_itself(shown: Browser, page: Path) -> None:
    shown.show(page, width=360, height=740, scheme="light")
    assert shown.asked == [page.as_uri()]


@pytest.mark.parametrize("page", ["a change"], indirect=True)
def test_the_layout_can_be_read_on_a_phone(shown: Browser, page: Path) -> None:
    """No letter of the picture is smaller than 9 pixels; it is wider than the phone and moves below the finger."""
    shown.show(page, width=360, height=740, scheme="light")
    size = (
        "Math.min(...[...document.querySelectorAll('figure text')].map((each) => each.getBoundingClientRect().height))"
    )
    assert shown.value(size) >= 9
    wider = "(({scrollWidth, clientWidth}) => scrollWidth > clientWidth)(document.querySelector('figure'))"
    assert shown.value(wider) is True


def test_the_recording_in_the_readme_moves_by_itself_and_ends_with_its_last_picture(shown: Browser) -> None:
    """A second before it begins again."""
    shown.show(ROOT / "docs/sandbox.svg", width=900, height=700, scheme="dark")
    top = "document.querySelector('.film > use:last-child').getBoundingClientRect().top"
    film = "document.getAnimations()[0]"
    assert shown.value(f"{film}.pause(); {film}.currentTime = 0; {top}") > 2000
    assert 42 < shown.value(f"{film}.currentTime = {film}.effect.getTiming().duration - 1000; {top}") < 632
