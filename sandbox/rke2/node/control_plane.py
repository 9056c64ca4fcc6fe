"""etcd, API server, controller manager and scheduler: their certificates, kubeconfigs and units.

RKE2 runs them as static pods; here they are units, which a restart of rke2-server leaves alone just the same.
"""

from . import certificates, kubeconfig, paths
from .configuration import Configuration, own_addresses
from .units import Unit

_ETCD = "http://127.0.0.1:2379"
ADMIN = paths.TLS / "client-admin"
_IDENTITIES = {
    "controller": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
}


def configure(configuration: Configuration) -> None:
    """Certificates and kubeconfigs, the user's included."""
    certificates.make_authority()
    certificates.issue(paths.TLS / "serving-kube-apiserver", "/CN=kube-apiserver", "serverAuth", _names(configuration))
    certificates.issue(paths.TLS / "client-kube-apiserver", "/O=system:masters/CN=kube-apiserver", "clientAuth")
    admin = certificates.issue(ADMIN, "/O=system:masters/CN=system:admin", "clientAuth")
    for name, subject in _IDENTITIES.items():
        certificate = certificates.issue(paths.TLS / f"client-{name}", subject, "clientAuth")
        kubeconfig.write(paths.CREDENTIALS / f"{name}.kubeconfig", certificate)
    kubeconfig.write(configuration.kubeconfig, admin, mode=configuration.kubeconfig_mode)
    if configuration.kubeconfig != paths.KUBECONFIG:
        paths.KUBECONFIG.unlink(missing_ok=True)
        paths.KUBECONFIG.symlink_to(configuration.kubeconfig)
    paths.DATABASE.mkdir(parents=True, exist_ok=True, mode=0o700)


def _names(configuration: Configuration) -> tuple[str, ...]:
    """Every name and address somebody may call the API server by."""
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    names += ["localhost", configuration.node_name, "127.0.0.1", str(configuration.service_cidr[1])]
    names += [configuration.node_ip, *own_addresses(), *configuration.tls_sans]
    return tuple(f"IP:{name}" if name.replace(".", "").isdigit() else f"DNS:{name}" for name in dict.fromkeys(names))


def database() -> Unit:
    peer = "http://127.0.0.1:2380"
    return Unit(
        name="etcd",
        command=(
            str(paths.PROGRAMS / "etcd"),
            f"--data-dir={paths.DATABASE}",
            "--unsafe-no-fsync",  # the machine's disk is the host's page cache anyway
            "--log-level=warn",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ),
    )


def api_server(configuration: Configuration) -> Unit:
    serving, client = paths.TLS / "serving-kube-apiserver.crt", paths.TLS / "client-kube-apiserver.crt"
    return Unit(
        name="kube-apiserver",
        command=(
            str(paths.PROGRAMS / "kube-apiserver"),
            f"--etcd-servers={_ETCD}",
            f"--advertise-address={configuration.node_ip}",
            "--secure-port=6443",
            "--anonymous-auth=false",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--service-cluster-ip-range={configuration.service_cidr}",
            f"--tls-cert-file={serving}",
            f"--tls-private-key-file={serving.with_suffix('.key')}",
            f"--client-ca-file={certificates.AUTHORITY}",
            f"--kubelet-client-certificate={client}",
            f"--kubelet-client-key={client.with_suffix('.key')}",
            f"--kubelet-certificate-authority={certificates.AUTHORITY}",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            f"--service-account-key-file={certificates.SERVICE_KEY}",
            f"--service-account-signing-key-file={certificates.SERVICE_KEY}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--profiling=false",
        ),
        files=(serving, client),
    )


def controllers(configuration: Configuration) -> tuple[Unit, Unit]:
    """Controller manager and scheduler."""
    manager = paths.CREDENTIALS / "controller.kubeconfig"
    scheduler = paths.CREDENTIALS / "scheduler.kubeconfig"
    common = ("--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false")
    return (
        Unit(
            name="kube-controller-manager",
            command=(
                str(paths.PROGRAMS / "kube-controller-manager"),
                f"--kubeconfig={manager}",
                f"--service-account-private-key-file={certificates.SERVICE_KEY}",
                f"--root-ca-file={certificates.AUTHORITY}",
                "--use-service-account-credentials=true",
                "--allocate-node-cidrs=true",
                f"--cluster-cidr={configuration.cluster_cidr}",
                *common,
            ),
            files=(manager,),
        ),
        Unit(
            name="kube-scheduler",
            command=(str(paths.PROGRAMS / "kube-scheduler"), f"--kubeconfig={scheduler}", *common),
            files=(scheduler,),
        ),
    )
