"""Draw what the time of a stack's last `up` went into: each machine's stages, each resource, the critical path.

    make timeline NAME=prod [SVG=prod.svg] [SSH_KEY=~/.ssh/id_ed25519]

By the engine's state and history, and by the result file and cloud-init's log of each machine. Nothing is changed.
"""

import argparse
import json
import sys
from pathlib import Path

from scripts.stack import Stack, StackError
from scripts.timeline.last_up import draw, last, records


def main(arguments: list[str]) -> int:
    """Draw; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.timeline", description=str(__doc__).partition("\n")[0])
    parser.add_argument("stack", metavar="STACK", help="name of a stack of yours")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write it as a picture too")
    options = parser.parse_args(arguments)
    try:
        stack = Stack(options.stack)
        state = json.loads(stack.pulumi("stack", "export"))["deployment"]
        history = json.loads(stack.pulumi("stack", "history", "--json"))
        with stack.machines() as machines:
            draw(last(state["resources"], history, records({each.name: each.ssh for each in machines})), options.svg)
    except StackError as error:
        print(f"timeline: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
