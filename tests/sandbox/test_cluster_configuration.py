"""RKE2's config.yaml as the stand-in reads it: no root, no machine."""

from pathlib import Path

import pytest

from sandbox.rke2.node import configuration
from sandbox.rke2.node.configuration import Taint
from sandbox.rke2.node.error import Rke2Error
from sandbox.rke2.node.join_token import JoinToken


def read(folder: Path, text: str) -> configuration.Configuration:
    file = folder / "config.yaml"
    file.write_text(text)
    return configuration.read(file)


def test_the_tutorials_configuration_is_understood(tmp_path: Path) -> None:
    seen = read(
        tmp_path,
        'write-kubeconfig-mode: "0644"\n'
        'write-kubeconfig: "/root/.kube/config"\n'
        'cni: "calico"\n'
        "tls-san:\n  - mlops-k8s-master\n"
        "node-ip: 10.60.0.4\n",
    )

    assert seen.kubeconfig_mode == 0o644
    assert seen.kubeconfig == Path("/root/.kube/config")
    assert (seen.cni, seen.tls_sans, seen.node_ip) == ("calico", ("mlops-k8s-master",), "10.60.0.4")


def test_what_is_left_out_has_rke2s_defaults(tmp_path: Path) -> None:
    seen = read(tmp_path, "node-ip: 10.60.0.4\n")

    assert (seen.cni, seen.kubeconfig_mode, seen.default_runtime) == ("canal", 0o600, "runc")
    assert (str(seen.cluster_cidr), str(seen.service_cidr)) == ("10.42.0.0/16", "10.43.0.0/16")
    assert str(seen.kubeconfig) == "/etc/rancher/rke2/rke2.yaml"
    assert seen.registry is None


def test_taints_and_labels_are_taken_apart(tmp_path: Path) -> None:
    seen = read(
        tmp_path,
        "node-ip: 10.60.0.4\nnode-label: [team=mlops, empty=]\n"
        "node-taint: ['nvidia.com/gpu=present:NoSchedule', 'maintenance:NoExecute']\n",
    )

    assert seen.labels == ("team=mlops", "empty=")
    assert seen.taints == (
        Taint(key="nvidia.com/gpu", value="present", effect="NoSchedule"),
        Taint(key="maintenance", value="", effect="NoExecute"),
    )


def test_a_token_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("open sesame\n")

    seen = read(tmp_path, f"node-ip: 10.60.0.4\ntoken-file: {tmp_path}/token\n")

    assert seen.token == JoinToken("open sesame")


def test_the_server_to_join_is_an_address_with_a_port(tmp_path: Path) -> None:
    seen = read(tmp_path, "node-ip: 10.60.0.5\nserver: https://10.60.0.4:9345/\ntoken: open sesame\n")

    assert seen.server == "https://10.60.0.4:9345"


def test_the_cis_profile_protects_the_kernels_defaults(tmp_path: Path) -> None:
    seen = read(tmp_path, "node-ip: 10.60.0.4\nprofile: cis\n")

    assert (seen.profile, seen.protect_kernel_defaults) == ("cis", True)
    assert not read(tmp_path, "node-ip: 10.60.0.4\nprofile: etcd\n").protect_kernel_defaults


def test_unknown_keys_are_only_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As by RKE2 (k3s, pkg/configfilearg)."""
    seen = read(tmp_path, "node-ip: 10.60.0.4\nnmae: x\ntls_san: [a]\n")

    assert seen.tls_sans == ()
    assert capsys.readouterr().out == (
        "Unknown flag --nmae found in config.yaml, skipping\nUnknown flag --tls_san found in config.yaml, skipping\n"
    )


def test_all_wrong_keys_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(Rke2Error) as refused:
        read(tmp_path, "nmae: x\ntls-san: {a: b}\ndebug: 'yes'\nselinux: 1\nsnapshotter: zfs\n")

    assert str(refused.value).splitlines() == [
        f"{tmp_path}/config.yaml:",
        "  tls-san: expected a text or a list of texts, seen {'a': 'b'}",
        "  debug: expected true or false, seen 'yes'",
        "  selinux: expected true or false, seen 1",
        "  snapshotter: not stood in for",
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cni: flannel", "cni: expected one of calico, canal, cilium, seen flannel"),
        ("node-ip: mlops", "node-ip: expected one IPv4 address"),
        (
            "system-default-registry: https://registry.example.org",
            "system-default-registry: expected host or host:port, seen 'https://registry.example.org'",
        ),
        ("node-label: [team]", "node-label: expected key=value, seen 'team'"),
        ("node-taint: ['a=b:Never']", "node-taint: expected key=value:NoSchedule"),
        ("write-kubeconfig-mode: '0888'", "write-kubeconfig-mode: expected a file mode"),
        ("cluster-cidr: 10.42.0.1/16", "cluster-cidr: expected an IPv4 network"),
        ("node-name: a/O=system:masters", "node-name: expected letters, digits, dots and hyphens as in a DNS name"),
        ("server: http://10.60.0.4:9345", "server: expected https://<address>:9345, seen 'http://10.60.0.4:9345'"),
        ("profile: cis-1.23", "profile: expected one of cis, etcd, seen cis-1.23"),
        ("profile: cis\nprotect-kernel-defaults: false", "protect-kernel-defaults: must be true with profile: cis"),
        ("token: ''", "token: must not be empty"),
        ("token-file: /nowhere", "token-file: cannot read /nowhere: No such file or directory"),
        ("[1, 2]", "expected keys with values, seen [1, 2]"),
        ("a: [", "not YAML"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_was_expected(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(Rke2Error) as refused:
        read(tmp_path, line if line[0] == "[" or "node-ip" in line else f"node-ip: 10.60.0.4\n{line}\n")

    assert words in str(refused.value)


def test_keys_without_effect_are_accepted(tmp_path: Path) -> None:
    assert read(tmp_path, "node-ip: 10.60.0.4\ndisable: [rke2-ingress-nginx]\nselinux: false\n").node_ip == "10.60.0.4"
