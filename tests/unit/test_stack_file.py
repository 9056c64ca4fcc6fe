"""Stack files as YAML: what is broken, ambiguous or said twice is refused, with its line."""

from pathlib import Path

import pytest

from plan import Problems
from plan.stack_file.document import parse, read_stack_file


def _report(text: str) -> str:
    with pytest.raises(Problems) as caught:
        parse(text, name="Pulumi.x.yaml")
    return str(caught.value).split("\n\n", 1)[1]


def test_a_stack_file_comes_apart_into_values_location_and_secrets() -> None:
    """Other namespaces and Pulumi's own keys are left out."""
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
            "mig-k8s:mig\n    said twice: mig and mig-k8s:mig are the same key\n    do: Keep one of them.",
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
        ("config: *nobody\n", "Pulumi.x.yaml, line 1"),
        ("config: \x00\n", "Pulumi.x.yaml"),
        ("%YAML 3.0\n---\nconfig: {}\n", "Pulumi.x.yaml, line 1"),
        ("config:\n  a: {<<: 1}\n", "Pulumi.x.yaml, line 2"),
        ('config:\n  a: "x\n', "Pulumi.x.yaml, line 3"),
    ],
)
def test_broken_yaml_is_told_without_a_traceback(text: str, where: str) -> None:
    """Where it broke, and what to do."""
    report = _report(text)
    assert report.startswith(f"{where}\n    broken YAML: ")
    assert "\n    do: " in report


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("config: {}\n---\nconfig: {}\n", "A stack file is one document: take away what follows the line ---."),
        ("config: *x\n", "Put text that begins with * into quotes, or write &name before it is used as *name."),
        ("config: {a: &x 1, b: &x 2}\n", "Give every &anchor a name of its own."),
        ('config: {a: "x\n', "Close the quotation mark."),
        ("%YAML 3.0\n---\nconfig: {}\n", "Take the %YAML line away."),
        ("config: {a: {<<: 1}}\n", "Only a mapping, or a list of them, can follow <<."),
        ("config:\n\ta: 1\n", "Indent with spaces, and put text with : or # into quotes."),
    ],
)
def test_broken_yaml_comes_with_the_remedy_of_its_kind(text: str, remedy: str) -> None:
    """Not one text for everything."""
    assert _report(text).endswith(f"    do: {remedy}")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("!!binary aGVsbG8=", "binary"),
        ("!!set {a}", "set"),
        ("!!omap [a: 1]", "omap"),
        ("!!map abc", "map"),
        ("!!seq abc", "seq"),
        ("!!str {a: b}", "str"),
        ("!secret abc", "!secret"),
        ("!!python/object:os.system {}", "python/object:os.system"),
        ("=", "value"),
        ("<<", "merge"),
    ],
)
def test_a_value_of_a_type_no_stack_file_needs_is_refused(value: str, kind: str) -> None:
    """YAML has more types than settings; some would end in a traceback, some in a program being run."""
    lines = _report(f"config:\n  a: {value}\n").splitlines()
    assert lines[0].startswith("Pulumi.x.yaml, line 2")
    assert lines[1:] == [
        f"    YAML gives this the type {kind}, which no stack file needs",
        "    do: Leave the type out, and put text into quotes.",
    ]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("!!int abc", "YAML readers disagree which number this is"),
        ("!!float abc", "YAML readers disagree which number this is"),
        (".nan", "YAML readers disagree which number this is"),
        ("-.inf", "YAML readers disagree which number this is"),
        ("1.0e+999", "YAML readers disagree which number this is"),
        ("1_000", "YAML readers disagree which number this is"),
        ("0b11", "YAML readers disagree which number this is"),
        ("9" * 5000, "YAML readers disagree which number this is"),
        ("!!bool maybe", "YAML readers disagree whether this is text or true/false"),
        ("Off", "YAML readers disagree whether this is text or true/false"),
        ("2026-11-23T10:00:00Z", "YAML reads this as a date"),
        ("!!null abc", "YAML reads this as nothing"),
    ],
)
def test_a_value_readers_would_disagree_about_is_refused(value: str, what: str) -> None:
    """At most 60 characters of it are shown."""
    lines = _report(f"config:\n  a: {value}\n").splitlines()
    assert lines[1] == f"    {what}"
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("key", ["on", "no", "1", "~", "2026-01-01", "1.5", "? [a, b]"])
def test_a_key_that_is_not_text_is_told_once(key: str) -> None:
    """As a key, and not as a surprising value besides."""
    report = _report(f"config:\n  {key}\n  : x\n" if key.startswith("?") else f"config:\n  {key}: x\n")
    assert report.endswith("\n    a key that YAML does not read as text\n    do: Put it in quotes.")
    assert report.count("Pulumi.x.yaml") == 1


def test_a_key_twice_in_a_merged_mapping_is_refused_too() -> None:
    """Also where the mapping has no name."""
    report = _report("config:\n  a: {<<: {b: 1, b: 2}}\n")
    assert report.startswith("Pulumi.x.yaml, line 2: b\n    this key is in its mapping twice")
    assert _report("config:\n  a: {<<: {b: 1}, <<: {b: 2}}\n").startswith("Pulumi.x.yaml, line 2: <<\n")


@pytest.mark.parametrize("levels", [63, 1_000, 1_000_000])
def test_a_file_nested_without_end_is_refused_before_it_exhausts_the_stack(levels: int) -> None:
    """Readers of YAML and JSON are recursive, in C too."""
    assert _report("config:\n  a: " + "[" * levels + "]" * levels) == (
        "Pulumi.x.yaml, line 2\n    nested too deeply for a stack file\n    allowed: at most 64 levels"
    )


def test_a_file_nested_as_deeply_as_any_real_one_is_read() -> None:
    """Two levels are config and the key itself."""
    parse("config:\n  a: " + "[" * 62 + "]" * 62, name="x")


def test_aliases_of_aliases_are_refused_before_they_are_written_out() -> None:
    """Nine lines can stand for billions of values."""
    lines = [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)]
    report = _report("config:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(lines))
    assert report == (
        "Pulumi.x.yaml\n"
        "    1,234,567,901 values once its aliases are written out\n"
        "    allowed: at most 100,000\n"
        "    do: Use fewer aliases."
    )


def test_a_chain_of_aliases_is_as_deep_as_what_it_stands_for() -> None:
    """Each link is one level more."""
    chain = "".join(f"  a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 80))
    assert "nested too deeply" in _report(f"config:\n  a0: &a0 [x]\n{chain}")


@pytest.mark.parametrize("text", ["config: &c {a: *c}\n", "config: {a: &c [*c]}\n", "config: &c {a: {<<: *c}}\n"])
def test_an_alias_inside_what_it_repeats_is_refused(text: str) -> None:
    """It has no end."""
    assert "    an alias stands inside the very value it repeats, which has no end" in _report(text)


@pytest.mark.parametrize("text", ["\ufeffconfig: {mig: {strategy: mixed}}", "config:\r\n  mig: {strategy: mixed}\r\n"])
def test_what_editors_of_other_systems_write_is_read(text: str) -> None:
    """A byte order mark, and their line ends."""
    assert parse(text, name="x").mapping == {"mig": {"strategy": "mixed"}}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            "  mig-k8s: {mig: {strategy: mixed}, vm: {}}\n",
            (
                "mig-k8s\n    each key in it must begin with the namespace itself\n"
                "    do: Write mig-k8s:mig, mig-k8s:vm directly below config."
            ),
        ),
        ("  Mig-K8s:mig: {}\n", "Mig-K8s:mig\n    unknown namespace\n    do: Did you mean mig-k8s:mig?"),
        ("  mig_k8s:mig: {}\n", "mig_k8s:mig\n    unknown namespace\n    do: Did you mean mig-k8s:mig?"),
        (
            "  azure-native:Location: x\n",
            "azure-native:Location\n    unknown key\n    do: Did you mean azure-native:location?",
        ),
        (
            "  Azure-Native:location: x\n",
            "Azure-Native:location\n    unknown key\n    do: Did you mean azure-native:location?",
        ),
        (
            "  azure-native:location: {secure: v1:x}\n",
            (
                "azure-native:location\n    is encrypted, and cannot be checked without its key\n"
                "    do: It is not a secret: pulumi config set azure-native:location NAME"
            ),
        ),
    ],
)
def test_a_key_that_would_be_passed_over_is_refused(config: str, says: str) -> None:
    """In another spelling of its namespace, or below it."""
    assert _report(f"config:\n{config}") == says


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


@pytest.mark.parametrize(
    ("content", "what", "remedy"),
    [
        (None, "there is no such file", "`make new-stack NAME=…` writes one; examples/ has complete ones."),
        ("folder", "is a folder, not a stack file", "Name the file in it, such as Pulumi.dev.yaml."),
        (b"config:\n  a: \xe9\n", "is not UTF-8 text: byte 0xe9 in line 2", "Save it as UTF-8."),
        ("config: {}".encode("utf-16"), "is not UTF-8 text: byte 0xff in line 1", "Save it as UTF-8."),
    ],
)
def test_what_cannot_be_read_says_why_and_what_to_do(
    tmp_path: Path, content: bytes | str | None, what: str, remedy: str
) -> None:
    """With the path as it was given."""
    path = tmp_path / "Pulumi.x.yaml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    with pytest.raises(Problems) as caught:
        read_stack_file(path)
    (problem,) = caught.value.problems
    assert (problem.path, problem.what, problem.remedy) == (str(path), what, remedy)


def test_a_file_nobody_may_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the number of the error and the path a second time."""

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(Problems, match="cannot be read: Permission denied"):
        read_stack_file(tmp_path / "Pulumi.x.yaml")


def test_an_encrypted_value_inside_a_section_is_noticed() -> None:
    """Its section is among the secrets, though not one of the known keys."""
    file = parse("config:\n  mig-k8s:rke2: {config: {token: [{secure: v1:x}]}}\n", name="x")
    assert file.secrets == {"rke2"}
