"""The public half of a private key. The keys were made for these tests and open nothing."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from plan import is_of_another_pair, public_half

_PRIVATE = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACDUvIh11KGYCsijVv5GPt7QXqpjiCxBAdi+ESl3tBXp9wAAAIiEoOZZhKDm
WQAAAAtzc2gtZWQyNTUxOQAAACDUvIh11KGYCsijVv5GPt7QXqpjiCxBAdi+ESl3tBXp9w
AAAEAU86q2hKFxXsM3avAG8QCwbib1nHHIb9unxWH5c3Tzn9S8iHXUoZgKyKNW/kY+3tBe
qmOILEEB2L4RKXe0Fen3AAAAAAECAwQF
-----END OPENSSH PRIVATE KEY-----
"""
_PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINS8iHXUoZgKyKNW/kY+3tBeqmOILEEB2L4RKXe0Fen3"

_WITH_PASSPHRASE = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABAhOz8Sy+
cX6ZM+GH30kiiHAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIA3CiTyDEOLrI2j4
I5MWAMvIo7H6zjjhYFY5MOhvvDF/AAAAkCUhvnV7Adka6VtXrcVdIH475ubaKfiCTEzJcZ
DE8xUvR1zO8qkU1DiS0RblnfIhb54ohsfoGNKeBWYbqMJ9fCqdpx4m66N+x2vbgZZeZQDK
QiBr/lqZusnpIsSgGf0uBagjLvrYjhjqM8F4EZPNuHuV1i4B0vndV+eTD+Hab5CslcYBYO
JTKdYKZ3z2Ci7hSQ==
-----END OPENSSH PRIVATE KEY-----
"""

_ECDSA = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS
1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQQCKMJCzX9irYLfrE4gMrLgPwdW8j1C
Q86HTo1l3/og0cuqh3w/0ffIqmx7zQCFqAKexTfR6iJp9tSrGRJA9VF6AAAAoJcD7emXA+
3pAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAIowkLNf2Ktgt+s
TiAysuA/B1byPUJDzodOjWXf+iDRy6qHfD/R98iqbHvNAIWoAp7FN9HqImn21KsZEkD1UX
oAAAAhAJe2Ro9tI8hIA8QwcTX5LlhTGEUe2Qz2Q83gtHgiy64mAAAAAAECAwQFBgc=
-----END OPENSSH PRIVATE KEY-----
"""


def rsa_pair() -> tuple[str, list[str]]:
    """A public key line, and its private half in each form that people have."""
    key = rsa.generate_private_key(65537, 2048)
    forms = [
        key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
        for form in (PrivateFormat.OpenSSH, PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8)
    ]
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(), forms


def test_the_public_half_is_what_ssh_keygen_made_with_it() -> None:
    """Kind and key, no comment."""
    assert public_half(_PRIVATE) == _PUBLIC


def test_line_ends_of_windows_and_missing_ones_do_not_matter() -> None:
    """Keys are pasted from everywhere."""
    assert public_half(_PRIVATE.replace("\n", "\r\n")) == _PUBLIC
    assert public_half("  " + _PRIVATE.replace("\n", " ")) == _PUBLIC


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not an OpenSSH private key"),
        (_PUBLIC, "not an OpenSSH private key"),
        (_PRIVATE.replace("OPENSSH", "RSA"), "not an OpenSSH private key"),
        (_PRIVATE.replace("b3BlbnNzaC1r", "!!!!!!!!!!!!"), "is damaged or cut off"),
        (_PRIVATE.replace("b3BlbnNzaC1r", "AAAAAAAAAAAA"), "is damaged or cut off"),
        (
            _PRIVATE.replace(_PRIVATE.splitlines()[2] + "\n", "").replace(_PRIVATE.splitlines()[3] + "\n", ""),
            "is damaged or cut off",
        ),
        (_PRIVATE.replace("S8iHXUoZgKyKNW", "S8iHXUoZgKyKNX"), "is damaged or cut off"),  # halves of two keys
        (_WITH_PASSPHRASE, "has a passphrase"),
        (_ECDSA, "is ecdsa-sha2-nistp256; ssh-ed25519 is needed"),
    ],
)
def test_a_text_that_is_not_a_plain_ed25519_key_is_refused_without_quoting_it(text: str, says: str) -> None:
    """An error text ends in logs."""
    with pytest.raises(ValueError, match=says) as caught:
        public_half(text)
    assert not any(line in str(caught.value) for line in text.splitlines()[1:-1])


_OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqGQWZQSelo2DxGZ2KgxK7ZcVRq7GrTqKA1z4L1Xnhv"
_RSA_LINE, _RSA_FORMS = rsa_pair()


@pytest.mark.parametrize(
    ("private", "own"),
    [
        (_PRIVATE, _PUBLIC),
        ("\n" + _PRIVATE.replace("\n", "\r\n"), _PUBLIC),
        *((form, _RSA_LINE) for form in _RSA_FORMS),
    ],
    ids=["ed25519", "of Windows", "RSA", "RSA of older tools", "RSA of OpenSSL"],
)
def test_a_private_key_fits_its_own_public_key_alone_whatever_its_comment_is(private: str, own: str) -> None:
    assert not is_of_another_pair(private, own)
    assert not is_of_another_pair(private, f"{own} me@home")
    assert is_of_another_pair(private, f"{_OTHER} me@home")


@pytest.mark.parametrize("text", ["", "no key", _WITH_PASSPHRASE, _PRIVATE.replace("b3BlbnNzaC1r", "AAAAAAAAAAAA")])
def test_a_private_key_that_cannot_be_read_here_is_left_to_those_who_use_it(text: str) -> None:
    assert not is_of_another_pair(text, _OTHER)
