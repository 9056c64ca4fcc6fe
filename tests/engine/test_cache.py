"""The cache holds complete things only, and makes each of them once."""

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.cache import cached, digest, digest_of_files, location

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_key_is_built_once() -> None:
    built = []

    def build(draft: Path) -> None:
        built.append(draft)
        (draft / "result").write_text("x")

    first, second = cached("thing", "k1", build), cached("thing", "k1", build)
    assert first == second == location("thing", "k1")
    assert (first / "result").read_text() == "x"
    assert len(built) == 1


def test_a_failed_build_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    def broken(draft: Path) -> None:
        (draft / "half").write_text("x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cached("thing", "k1", broken)
    assert [path.name for path in (tmp_path / "mig-k8s/thing").iterdir()] == [".k1.lock"]
    assert cached("thing", "k1", lambda draft: (draft / "whole").touch()).is_dir()


def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    rest = tmp_path / "mig-k8s/thing/.k1.building-dead"
    rest.mkdir(parents=True)
    (rest / "half").write_text("x")
    cached("thing", "k1", lambda draft: (draft / "whole").touch())
    assert not rest.exists()


def test_two_that_remove_the_same_tree_at_once_both_end_well(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for folder in range(40):
        (tree / str(folder)).mkdir(parents=True)
        for file in range(40):
            (tree / str(folder) / str(file)).touch()
    code = "import pathlib, sys\nfrom sandbox.cache import remove\ninput()\nremove(pathlib.Path(sys.argv[1]))\n"
    both = [subprocess.Popen([sys.executable, "-c", code, str(tree)], stdin=subprocess.PIPE) for _ in range(2)]
    for process in both:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.close()
    assert [process.wait(timeout=30) for process in both] == [0, 0]
    assert not tree.exists()


def test_processes_that_want_the_same_thing_wait_for_one_of_them(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\nfrom sandbox.cache import cached\n"
        "def build(draft):\n    time.sleep(0.5)\n    open(sys.argv[1], 'a').write('built\\n')\n"
        "cached('thing', 'k1', build)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "log")]
    processes = [subprocess.Popen(command, cwd=CHECKOUT) for _ in range(3)]
    assert [process.wait(20) for process in processes] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == "built\n"


def test_keys_tell_contents_names_and_borders_apart(tmp_path: Path) -> None:
    assert digest("ab", "c") != digest("a", "bc")
    one = tmp_path / "one"
    one.write_text("x")
    before = digest_of_files(tmp_path, [one])
    one.write_text("y")
    assert digest_of_files(tmp_path, [one]) != before
    one.write_text("x")
    assert digest_of_files(tmp_path, [one]) == before
    one.chmod(0o755)
    assert digest_of_files(tmp_path, [one]) != before
    one.chmod(0o644)
    assert digest_of_files(tmp_path, [one.rename(tmp_path / "two")]) != before
