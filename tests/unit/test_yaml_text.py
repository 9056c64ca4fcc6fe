"""YAML as it lands on machines: to the letter, whichever of PyYAML's two emitters writes it."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from plan.yaml_text import yaml_text

CONTENT = {
    "text": "plain words, é and ☃",
    "empty": "",
    "like a number": "1.5",
    "like a boolean": "yes",
    "colon": "a: b",
    "hash": "x #y",
    "leading space": " x",
    "block": "one\n  two\n",
    "block without its last line break": "one\ntwo",
    "long": "x" * 300,
    "list": ["a", {"key": 1, "none": None}],
    "mode": "0644",
}
TEXT = f"""\
text: plain words, é and ☃
empty: ''
like a number: '1.5'
like a boolean: 'yes'
colon: 'a: b'
hash: 'x #y'
leading space: ' x'
block: |
  one
    two
block without its last line break: |-
  one
  two
long: {"x" * 300}
list:
- a
- key: 1
  none: null
mode: '0644'
"""


def test_content_is_written_as_people_write_it_and_read_back_unchanged() -> None:
    """Keys in their order, one line a value, text of several lines as a block."""
    assert yaml_text(CONTENT) == TEXT
    assert yaml.safe_load(TEXT) == CONTENT


def test_a_host_whose_pyyaml_has_no_c_emitter_writes_the_same() -> None:
    """Or its machines would seem changed."""
    code = (
        "import json, sys, yaml; del yaml.CSafeDumper; from plan.yaml_text import yaml_text;"
        "sys.stdout.buffer.write(yaml_text(json.load(sys.stdin)).encode())"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, input=json.dumps(CONTENT).encode(), capture_output=True, check=True
    )
    assert done.stdout.decode() == TEXT
