"""Stack files as YAML: what is broken, ambiguous or said twice is refused, with its line."""

from pathlib import Path

import pytest

from plan import Problems
from plan.stack_file import parse, read_stack_file


def _report(text: str) -> str:
    with pytest.raises(Problems) as caught:
        parse(text, name="Pulumi.x.yaml")
    return str(caught.value).split("\n\n", 1)[1]


def test_a_stack_file_comes_apart_into_values_location_and_secrets() -> None:
    """Other namespaces and Pulumi's own keys are none of our business."""
    file = parse(
        "secretsprovider: passphrase\n"
        "encryptionsalt: v1:abc\n"
        "config:\n"
        "  azure-native:location: westeurope\n"
        "  azure-native:subscriptionId: 1234\n"
        "  mig-k8s:mig: {strategy: mixed}\n"
        "  verify: {enabled: false}\n"
        "  mig-k8s:sshHostKey: {secure: v1:xyz}\n",
        name="x",
    )
    assert file.location == "westeurope"
    assert file.mapping == {"mig": {"strategy": "mixed"}, "verify": {"enabled": False}}
    assert file.secrets == {"sshHostKey"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "",
            (
                "Pulumi.x.yaml\n"
                "    the file is empty\n"
                "    do: Begin with config: and the three required keys; docs/config-reference.yaml has them all."
            ),
        ),
        ("- a\n- b\n", "Pulumi.x.yaml\n    not a mapping\n    allowed: config: and keys below it"),
        ("config: [1]\n", "config\n    not a mapping\n    allowed: keys and values"),
        (
            "confg: {}\n",
            (
                "confg\n"
                "    unknown key\n"
                "    allowed: config, secretsprovider, encryptedkey, encryptionsalt, environment\n"
                "    do: Did you mean config?"
            ),
        ),
        (
            "config:\n  migk8s:mig: {}\n",
            "migk8s:mig\n    unknown namespace\n    do: Did you mean mig-k8s:mig?",
        ),
        (
            "config:\n  mig-k8s:mig: {strategy: single}\n  mig-k8s:mig: {strategy: mixed}\n",
            (
                "Pulumi.x.yaml, line 3: mig-k8s:mig\n"
                "    this key is in its mapping twice; readers disagree which one counts\n"
                "    do: Keep one of them."
            ),
        ),
        (
            "config:\n  mig: {}\n  mig-k8s:mig: {}\n",
            "mig-k8s:mig\n    said twice: mig and mig-k8s:mig are the same key",
        ),
        (
            "config:\n  mig-k8s:nodePools:\n    - migDevices: {1g.10gb: 1, 1g.10gb: 2}\n",
            (
                "Pulumi.x.yaml, line 3: 1g.10gb\n"
                "    this key is in its mapping twice; readers disagree which one counts\n"
                "    do: Keep one of them."
            ),
        ),
        (
            "config:\n  mig-k8s:rke2: {cis: yes}\n",
            (
                "Pulumi.x.yaml, line 2: yes\n"
                "    YAML readers disagree whether this is text or true/false\n"
                '    do: Write true or false, or "yes" in quotes if it is text.'
            ),
        ),
        (
            "config:\n  mig-k8s:vm: {autoShutdown: {time: 19:00}}\n",
            (
                "Pulumi.x.yaml, line 2: 19:00\n"
                "    YAML readers disagree which number this is\n"
                '    do: Put it in quotes: "19:00"'
            ),
        ),
        (
            "config:\n  mig-k8s:vm: {autoShutdown: {time: 0730}}\n",
            (
                "Pulumi.x.yaml, line 2: 0730\n"
                "    YAML readers disagree which number this is\n"
                '    do: Put it in quotes: "0730"'
            ),
        ),
        (
            "config:\n  mig-k8s:vm: {rebuild: 2026-11-23}\n",
            'Pulumi.x.yaml, line 2: 2026-11-23\n    YAML reads this as a date\n    do: Put it in quotes: "2026-11-23"',
        ),
        (
            "config:\n  mig-k8s:nodePools:\n    - migDevices: {19: 7}\n",
            "Pulumi.x.yaml, line 3: 19\n    a key that YAML does not read as text\n    do: Put it in quotes.",
        ),
    ],
)
def test_a_file_that_readers_would_disagree_about_is_refused(text: str, says: str) -> None:
    """With the line and the way out."""
    assert _report(text) == says


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("config:\n\tmig: {}\n", "Pulumi.x.yaml, line 2"),
        ("config:\n  mig: {strategy: mixed\n", "Pulumi.x.yaml, line 3"),
        ("config: {}\n---\nconfig: {}\n", "Pulumi.x.yaml, line 2"),
        ("config:\n  a: b: c\n", "Pulumi.x.yaml, line 2"),
        ("config: !!python/object:os.system {}\n", "Pulumi.x.yaml, line 1"),
        ("config: *nobody\n", "Pulumi.x.yaml, line 1"),
        ("config: \x00\n", "Pulumi.x.yaml"),
    ],
)
def test_broken_yaml_is_no_traceback(text: str, where: str) -> None:
    """Where it broke, and what to do."""
    report = _report(text)
    assert report.startswith(f"{where}\n    broken YAML: ")


def test_all_surprises_of_a_file_come_at_once() -> None:
    """One report, every line."""
    report = _report("config:\n  a: yes\n  b: 0x10\n  c: 2026-01-01\n")
    assert [line for line in report.splitlines() if line.startswith("Pulumi")] == [
        "Pulumi.x.yaml, line 2: yes",
        "Pulumi.x.yaml, line 3: 0x10",
        "Pulumi.x.yaml, line 4: 2026-01-01",
    ]


def test_numbers_and_booleans_that_all_readers_agree_on_are_taken() -> None:
    """And anchors with merges are YAML like any other."""
    file = parse(
        "config:\n  a: &x {n: 580, f: -1, g: 1.5, t: true, s: 1g.10gb}\n  b:\n    <<: *x\n    n: 0\n", name="x"
    )
    assert file.mapping["a"] == {"n": 580, "f": -1, "g": 1.5, "t": True, "s": "1g.10gb"}
    assert file.mapping["b"] == {"n": 0, "f": -1, "g": 1.5, "t": True, "s": "1g.10gb"}


def test_a_file_that_is_not_there_is_said_to_be_not_there(tmp_path: Path) -> None:
    """Not a traceback either."""
    with pytest.raises(Problems, match="there is no such file"):
        read_stack_file(tmp_path / "Pulumi.nobody.yaml")


def test_a_directory_and_a_binary_file_are_not_stack_files(tmp_path: Path) -> None:
    """Both cannot be read, and the reason is given."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "binary"):
        with pytest.raises(Problems, match="cannot be read: "):
            read_stack_file(path)


def test_an_encrypted_value_inside_a_section_is_noticed() -> None:
    """Its section is among the secrets, though not one of the known keys."""
    file = parse("config:\n  mig-k8s:rke2: {config: {token: [{secure: v1:x}]}}\n", name="x")
    assert file.secrets == {"rke2"}
