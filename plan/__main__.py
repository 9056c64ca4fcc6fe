"""`python -m plan`: check, show and compare stack files without Pulumi and without an account.

Exit codes: 0 = all well, 1 = the stack has problems (all of them on stderr), 2 = the command line is wrong.
"""

import argparse
import json
import shutil
import signal
import sys
from pathlib import Path

from plan.problems import Problems, warning_report
from plan.reading import how_to_set, needed_secrets, read_settings
from plan.stack import StackPlan, plan_stack
from plan.stack_file.document import StackFile, read_stack_file
from plan.stack_file.settings import Settings


class UnwritableError(Exception):
    """A file cannot be written; the text is for people."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except Problems as problems:
        print(problems, file=sys.stderr)
    except (FileNotFoundError, UnwritableError) as error:
        print(error, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m plan", description="What a stack file means, before anything is made."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="all problems of a stack file, or none")
    check.add_argument("file", type=Path, metavar="FILE")
    check.set_defaults(run=_check)
    show = commands.add_parser("show", help="layouts, placements, expectations, pods and Helm values")
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("new", type=Path, metavar="NEW", nargs="?", help="the file that FILE becomes; with --html")
    show.add_argument("--json", action="store_true", help="as data (docs/plan-json.md)")
    show.add_argument("--svg", type=Path, metavar="PICTURE", help="write the layouts as a picture too")
    show.add_argument(
        "--html",
        type=Path,
        metavar="PAGE",
        help="write a page to read in a browser too; with NEW also what the change does",
    )
    show.set_defaults(run=_show, parser=show)
    layout = commands.add_parser("layout", help="the layout of a machine, as `mig-k8s apply --dry-run` reads it there")
    layout.add_argument("file", type=Path, metavar="FILE")
    layout.add_argument("machine", metavar="MACHINE")
    layout.set_defaults(run=_layout)
    digest = commands.add_parser("digest", help="what changing one stack file into another does")
    digest.add_argument("old", type=Path, metavar="OLD")
    digest.add_argument("new", type=Path, metavar="NEW")
    digest.set_defaults(run=_digest)
    return parser


def _read(path: Path) -> tuple[StackFile, Settings, StackPlan]:
    file = read_stack_file(path)
    settings = read_settings(file.mapping, location=file.location, secrets=file.secrets, ask_for_secrets=False)
    return file, settings, plan_stack(settings)


def _check(options: argparse.Namespace) -> int:
    file, settings, stack = _read(options.file)
    devices = sum(len(gpu.instances) for node in stack.nodes if node.layout for gpu in node.layout.gpus)
    print(f"{options.file}: all well; machines: {len(stack.nodes)}, MIG devices: {devices}")
    unset = [key for key in needed_secrets(settings, file.secrets) if key not in file.secrets]
    if unset:
        print(f"Before `pulumi up` (or by `make new-stack`) these secrets are to be set: {', '.join(unset)}")
        if file.secrets:  # a stack that is older than the need for these secrets
            print("\n".join(f"  {how_to_set(key)}" for key in unset))
    sizes = " and ".join(dict.fromkeys(node.vm.size for node in stack.nodes))
    if stack.warnings:
        print(f"\n{warning_report(stack.warnings)}\n")
    print(f"Only Azure knows whether {stack.location} has {sizes}: `python -m plan show` has the commands that ask it.")
    return 0


def _show(options: argparse.Namespace) -> int:
    from plan.report import colours  # noqa: PLC0415 - `check` is to start fast
    from plan.report.drawing import WIDTH, draw  # noqa: PLC0415
    from plan.report.summary import summary  # noqa: PLC0415
    from plan.report.svg import picture  # noqa: PLC0415

    if options.new and not options.html:
        options.parser.error("NEW is for --html; `python -m plan digest FILE NEW` says what the change does")
    _, _, stack = _read(options.new or options.file)
    plan = summary(stack)
    if options.svg is not None:
        _write(options.svg, picture(plan))
    if options.html is not None:
        from plan.report.digest import digest  # noqa: PLC0415
        from plan.report.page import page  # noqa: PLC0415

        change = digest(_read(options.file)[2], stack) if options.new else None
        _write(options.html, page(plan, (options.new or options.file).name, digest=change))
    if options.json:
        print(json.dumps(plan, indent=2, ensure_ascii=False))
    else:
        terminal = sys.stdout.isatty()
        width = min(WIDTH, max(80, shutil.get_terminal_size().columns)) if terminal else WIDTH
        print(draw(plan, colour=colours.wanted(sys.stdout), width=width), end="")
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"{path}: cannot be written: {error.strerror}"
        raise UnwritableError(f"{what}. Name a file in a folder that is there and that you may write to.") from None


def _layout(options: argparse.Namespace) -> int:
    _, _, stack = _read(options.file)
    layout = stack.host_layouts.get(options.machine)
    if layout is None:
        names = ", ".join(stack.host_layouts) or "none"
        print(f"{options.machine} makes no instances itself; machines that do: {names}", file=sys.stderr)
        return 1
    print(layout.to_json(), end="")
    return 0


def _digest(options: argparse.Namespace) -> int:
    from plan.report.digest import digest  # noqa: PLC0415 - `check` is to start fast

    _, _, old = _read(options.old)
    _, _, new = _read(options.new)
    print(digest(old, new), end="")
    return 0


if __name__ == "__main__":
    # `python -m plan show FILE | head` ends as every filter does, without a traceback.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
