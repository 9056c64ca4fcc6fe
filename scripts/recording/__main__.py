"""`python -m scripts.recording`: record a command, and draw what was recorded (`make recording`)."""

import argparse
import socket
import sys
from pathlib import Path

from scripts.recording.cast import Cast, record
from scripts.recording.film import shortened
from scripts.recording.svg import svg


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code, that of what is recorded where something is."""
    parser = argparse.ArgumentParser(prog="python -m scripts.recording", description="A terminal as a picture.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    recording = commands.add_parser("record", help="run a command in a terminal of its own, and keep what it shows")
    recording.add_argument("cast", type=Path, metavar="CAST")
    recording.add_argument("--title", required=True, help="what people type")
    recording.add_argument("words", nargs="+", metavar="WORD", help="the command, after --")
    drawing = commands.add_parser("draw", help="a recording as an SVG picture")
    drawing.add_argument("cast", type=Path, metavar="CAST")
    drawing.add_argument("picture", type=Path, metavar="SVG")
    options = parser.parse_args(arguments)
    if options.command == "draw":
        options.picture.write_text(svg(Cast.read(options.cast)), encoding="utf-8")
        return 0
    hidden = {str(Path.home()): "~", str(Path.cwd()): "~/mig-k8s", socket.gethostname(): "host"}
    cast, status = record(options.words, options.title, hidden=hidden)
    if status == 0:
        shortened(cast).write(options.cast)
    return status


if __name__ == "__main__":
    sys.exit(main())
