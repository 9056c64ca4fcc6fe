"""What joining rests on, in the stand-in: certificates, tokens, versions, pod networks. No root, no machine."""

import hashlib
import ipaddress
import subprocess
from pathlib import Path

import pytest

from sandbox.rke2.node import certificate_rotation, certificates, join_token, kubelet, paths, release
from sandbox.rke2.node.certificates import Authority
from sandbox.rke2.node.error import Rke2Error
from sandbox.rke2.node.join_token import JoinToken


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path / "ca", "a cluster")
    authority.make()
    return authority


def openssl(*arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True, timeout=30)
    return done.stdout.decode().strip()


def test_a_signing_request_gets_the_name_the_server_decides_on_and_not_its_own(
    authority: Authority, tmp_path: Path
) -> None:
    asking = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(tmp_path / "key")]
    request = openssl("req", "-new", *asking, "-subj", "/O=system:masters/CN=system:admin")

    answer = authority.answer(request.encode(), "/O=system:nodes/CN=system:node:worker", "clientAuth")

    (tmp_path / "crt").write_bytes(answer)
    assert openssl("x509", "-noout", "-subject", stdin=answer) == "subject=O = system:nodes, CN = system:node:worker"
    assert openssl("verify", "-CAfile", str(authority.certificate), str(tmp_path / "crt")).endswith("crt: OK")
    own_key = openssl("pkey", "-in", str(tmp_path / "key"), "-pubout")
    assert openssl("x509", "-noout", "-pubkey", stdin=answer) == own_key
    uses = openssl("x509", "-noout", "-ext", "extendedKeyUsage,basicConstraints", stdin=answer)
    assert "TLS Web Client Authentication" in uses
    assert "TLS Web Server Authentication" not in uses
    assert "CA:FALSE" in uses


def test_a_certificate_is_made_anew_only_when_something_of_it_changed(authority: Authority, tmp_path: Path) -> None:
    certificate = authority.issue(tmp_path / "node", "/CN=a", "serverAuth", ("IP:10.60.0.4",))
    first = certificate.read_bytes()

    assert authority.issue(tmp_path / "node", "/CN=a", "serverAuth", ("IP:10.60.0.4",)).read_bytes() == first
    assert authority.issue(tmp_path / "node", "/CN=a", "serverAuth", ("IP:10.60.0.5",)).read_bytes() != first
    assert (tmp_path / "node.key").stat().st_mode & 0o777 == 0o600


def test_a_certificate_lasts_a_year_and_a_start_makes_anew_what_ends_within_120_days(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends_within(path: Path, days: int) -> bool:
        check = ["openssl", "x509", "-noout", "-checkend", str(days * 24 * 3600), "-in", str(path)]
        return subprocess.run(check, check=False, capture_output=True, timeout=30).returncode == 1

    monkeypatch.setattr(certificates, "_DAYS", "119")
    certificate = authority.issue(tmp_path / "node", "/CN=a", "serverAuth")
    assert ends_within(certificate, 120)
    monkeypatch.undo()
    authority.issue(tmp_path / "node", "/CN=a", "serverAuth")
    assert (ends_within(certificate, 364), ends_within(certificate, 366)) == (False, True)
    assert not ends_within(authority.certificate, 3649)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a server's RKE2, with an authority and a certificate of each kind."""
    for name, place in (("TLS", "server/tls"), ("AGENT", "agent"), ("FORCE_RESTART", "force-restart")):
        monkeypatch.setattr(paths, name, tmp_path / place)
    for name in ("server/tls/server-ca", "server/tls/client-admin", "server/tls/etcd/client", "agent/client-kubelet"):
        for suffix in (".crt", ".key"):
            paths.write(tmp_path / f"{name}{suffix}", name)
    return tmp_path


def left(folder: Path, pattern: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(pattern))


def test_rotating_takes_all_certificates_away_but_the_authoritys_and_keeps_a_copy(server: Path) -> None:
    certificate_rotation.rotate([])
    (copy,) = server.glob("server/tls-*")
    kept = {path for path in left(server, "*.crt") if not path.startswith(f"server/{copy.name}")}
    assert kept == {"server/tls/server-ca.crt"}
    assert left(copy, "*.key") == ["client-admin.key", "client-kubelet.key", "etcd/client.key", "server-ca.key"]
    assert (server / "force-restart").exists()


def test_an_agent_has_the_kubelets_to_rotate_and_one_service_is_one_service(server: Path) -> None:
    certificate_rotation.rotate(["kubelet"])
    assert (left(server, "client-admin.*"), left(server / "agent", "*")) == (
        [f"server/{next(server.glob('server/tls-*')).name}/client-admin.{kind}" for kind in ("crt", "key")]
        + ["server/tls/client-admin.crt", "server/tls/client-admin.key"],
        [],
    )


def test_a_name_that_is_not_a_service_and_a_machine_without_rke2_are_refused(
    server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Rke2Error, match="service kublet is not recognized"):
        certificate_rotation.rotate(["kublet"])
    assert left(server, "client-admin.crt") == ["server/tls/client-admin.crt"]
    monkeypatch.setattr(paths, "FORCE_RESTART", server / "nowhere/force-restart")
    with pytest.raises(Rke2Error, match=r"open .*/nowhere/force-restart: no such file or directory"):
        certificate_rotation.rotate([])


def test_a_token_names_the_authority_or_takes_any(authority: Authority) -> None:
    pem = authority.certificate.read_bytes()
    whole = f"K10{hashlib.sha256(pem).hexdigest()}::server:open::sesame"

    assert join_token.whole(pem, "open::sesame") == whole
    for text in (whole, "open::sesame", "K10::server:open::sesame"):
        token = JoinToken.parse(text)
        token.check(pem)
        assert token.password == "open::sesame"


def test_a_token_of_another_cluster_is_refused(authority: Authority) -> None:
    token = JoinToken.parse(f"K10{'ab' * 32}::server:open sesame")

    with pytest.raises(Rke2Error, match="token CA hash does not match the Cluster CA certificate hash: abab"):
        token.check(authority.certificate.read_bytes())


@pytest.mark.parametrize("text", ["K10", "K10abc::server:x", f"K10{'ab' * 32}", f"K10{'ab' * 32}::server:"])
def test_a_mutilated_token_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(Rke2Error, match="invalid token format") as refused:
        JoinToken.parse(text)

    assert text.removeprefix("K10") == "" or text not in str(refused.value)


def test_a_machine_newer_than_its_server_is_refused() -> None:
    release.require_not_newer("v1.35.7+rke2r1", "v1.35.3+rke2r2")
    release.require_not_newer("v1.34.9+rke2r1", "v1.35.3+rke2r2")
    with pytest.raises(
        Rke2Error, match=r"v1\.36\.0\+rke2r1 is newer than the server's, v1\.35\.7\+rke2r1: upgrade the"
    ):
        release.require_not_newer("v1.36.0+rke2r1", "v1.35.7+rke2r1")


def test_machines_of_one_network_give_their_pods_different_addresses() -> None:
    cluster = ipaddress.IPv4Network("10.42.0.0/16")

    assert str(kubelet.pod_subnet(cluster, "10.60.0.4")) == "10.42.4.0/24"
    assert str(kubelet.pod_subnet(cluster, "10.60.0.5")) == "10.42.5.0/24"
    assert str(kubelet.pod_subnet(ipaddress.IPv4Network("10.42.0.0/24"), "10.60.0.5")) == "10.42.0.0/24"
