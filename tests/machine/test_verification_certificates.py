"""When the certificates end that nodes show: real ones, shown over real TLS on this machine."""

import datetime as dt
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from a_machine import NAME, AMachine
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from kubernetes_objects import node
from verified_cluster import as_it_should_be, verified

from machine.verification import certificates

NOW = dt.datetime(2026, 11, 26, 10, tzinfo=dt.timezone.utc)
"""Of the tests' clock. That of this machine decides what has ended."""
SERVER = {"node-role.kubernetes.io/control-plane": "true"}
Shown = Callable[..., int]


class Authority:
    """A cluster's."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._signed(
            self.name, self.key, dt.datetime(2200, 1, 1, tzinfo=dt.timezone.utc), is_authority=True
        )

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, end: dt.datetime, *, is_authority: bool
    ) -> bytes:
        builder = x509.CertificateBuilder(self.name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)).not_valid_after(end)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False
        )
        if is_authority:
            builder = builder.add_extension(identifier, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def server(self, end: dt.datetime, folder: Path) -> ssl.SSLContext:
        """What shows a certificate that ends then."""
        key = ec.generate_private_key(ec.SECP256R1())
        file = folder / "shown.pem"
        own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a node")])
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(text + self._signed(own, key, end, is_authority=False))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("rke2-server-ca")


@pytest.fixture
def machine(tmp_path: Path, authority: Authority) -> AMachine:
    made = AMachine.below(tmp_path)
    made.write("var/lib/rancher/rke2/agent/server-ca.crt", authority.certificate.decode(), 0o644)
    return made


@pytest.fixture
def shown(tmp_path: Path, authority: Authority) -> Iterator[Shown]:
    """The port of a server whose certificate ends then."""
    with ExitStack() as servers:

        def show(end: dt.datetime, by: Authority = authority) -> int:
            context, listener = by.server(end, tmp_path), servers.enter_context(create_server(("127.0.0.1", 0)))

            def answer() -> None:
                with suppress(OSError):
                    while True:
                        connection, _ = listener.accept()
                        with suppress(OSError), connection:
                            context.wrap_socket(connection, server_side=True).close()

            threading.Thread(target=answer, daemon=True).start()
            servers.callback(listener.shutdown, 2)
            return int(listener.getsockname()[1])

        yield show


def nodes(**labels: dict[str, str]) -> dict[str, Any]:
    return {name: node(name, "b", {}, own, address="127.0.0.1") for name, own in labels.items()}


def days(count: float) -> dt.datetime:
    return NOW + dt.timedelta(days=count)


def test_one_that_ends_within_sixty_days_is_named_with_what_makes_another_one(machine: AMachine, shown: Shown) -> None:
    ports = {"kubelet": shown(days(59.5)), "API server": shown(days(3.2))}
    said = certificates.ending(machine, nodes(control=SERVER, gpu={}), ports)
    anew = "`make rotate-certificates NAME=STACK` has RKE2 make all of them anew, pods go on"
    assert said == [
        f"the certificate of the kubelet on control ends on 2027-01-24, in 59 days. {anew}",
        f"the certificate of the API server on control ends on 2026-11-29, in 3 days. {anew}",
        f"the certificate of the kubelet on gpu ends on 2027-01-24, in 59 days. {anew}",
    ]


def test_one_that_lasts_sixty_days_or_more_is_not_worth_a_word(machine: AMachine, shown: Shown) -> None:
    assert certificates.ending(machine, nodes(gpu={}), {"kubelet": shown(days(60.1))}) == []


def test_one_that_has_ended_is_named_though_nobody_can_trust_it(machine: AMachine, shown: Shown) -> None:
    port = shown(dt.datetime(2021, 1, 1, tzinfo=dt.timezone.utc))
    (said,) = certificates.ending(machine, nodes(gpu={}), {"kubelet": port})
    assert said.startswith("the certificate of the kubelet on gpu has ended. `make rotate-certificates NAME=STACK` ")


def test_of_a_node_that_shows_none_nothing_is_said(machine: AMachine, shown: Shown) -> None:
    with create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert certificates.ending(machine, nodes(gpu={}), {"kubelet": port}) == []
    stranger = Authority("another cluster's")
    strange = shown(days(1), stranger)
    assert certificates.ending(machine, nodes(gpu={}), {"kubelet": strange}) == []
    without = nodes(gpu={})
    without["gpu"]["status"]["addresses"] = []
    assert certificates.ending(machine, without, {"kubelet": shown(days(1))}) == []
    machine.path("/var/lib/rancher/rke2/agent/server-ca.crt").unlink()
    assert certificates.ending(machine, nodes(gpu={}), {"kubelet": shown(days(1))}) == []


def test_a_verification_looks_at_the_nodes_of_the_stack_and_passes_all_the_same(
    a_machine: AMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_it_should_be(a_machine)
    seen: list[str] = []

    def ending(_machine: AMachine, nodes: dict[str, Any]) -> list[str]:
        seen.extend(nodes)
        return ["the certificate of the kubelet on gpu has ended."]

    monkeypatch.setattr(certificates, "ending", ending)
    status, report, said = verified(a_machine)
    assert (status, report.passed, seen) == (0, True, [NAME])
    assert report.ending == ("the certificate of the kubelet on gpu has ended.",)
    assert "\nWARNING: the certificate of the kubelet on gpu has ended.\n" in said
