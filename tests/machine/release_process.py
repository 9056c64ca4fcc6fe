"""The Python of a machine of the tests: `release_process.py ROOT -I -B RELEASE WORD…` runs RELEASE's code on ROOT."""

import sys
from pathlib import Path

root, release, words = Path(sys.argv[1]), sys.argv[4], sys.argv[5:]
assert sys.argv[2:4] == ["-I", "-B"], sys.argv
sys.path.insert(0, release)  # what Python does with a folder that it runs

from machine.command_line import main  # noqa: E402
from machine.host.this_machine import ENVIRONMENT, ThisMachine  # noqa: E402

if __name__ == "__main__":
    programs = {**ENVIRONMENT, "PATH": f"{root.parent}/programs:{ENVIRONMENT['PATH']}", "STATE": f"{root.parent}/state"}
    sys.exit(main(words, ThisMachine(root, programs)))
