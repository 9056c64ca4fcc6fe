"""API server, controller manager and scheduler: their certificates, kubeconfigs and units.

RKE2 runs them as static pods; here they are units, which a restart of rke2-server leaves alone just the same.
"""

from . import certificates, etcd, kubeconfig, paths, profile
from .certificates import ETCD, SERVER
from .configuration import Configuration, own_addresses
from .units import Unit

ADMIN = paths.TLS / "client-admin"
SERVING = paths.TLS / "serving-kube-apiserver"
_IDENTITIES = {
    "controller": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
}


def configure(configuration: Configuration) -> None:
    """Certificates and kubeconfigs, the user's included."""
    certificates.make_authorities()
    paths.write(paths.AUTHORITY, SERVER.certificate.read_bytes(), 0o644)
    SERVER.issue(SERVING, "/CN=kube-apiserver", "serverAuth", _names(configuration))
    SERVER.issue(paths.TLS / "client-kube-apiserver", "/O=system:masters/CN=kube-apiserver", "clientAuth")
    admin = SERVER.issue(ADMIN, "/O=system:masters/CN=system:admin", "clientAuth")
    for name, subject in _IDENTITIES.items():
        certificate = SERVER.issue(paths.TLS / f"client-{name}", subject, "clientAuth")
        kubeconfig.write(paths.CREDENTIALS / f"{name}.kubeconfig", certificate)
    kubeconfig.write(configuration.kubeconfig, admin, mode=configuration.kubeconfig_mode)
    if configuration.kubeconfig != paths.KUBECONFIG:
        paths.KUBECONFIG.unlink(missing_ok=True)
        paths.KUBECONFIG.symlink_to(configuration.kubeconfig)


def _names(configuration: Configuration) -> tuple[str, ...]:
    """Every name and address somebody may call the API server by."""
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    names += ["localhost", configuration.node_name, "127.0.0.1", str(configuration.service_cidr[1])]
    names += [configuration.node_ip, *own_addresses(), *configuration.tls_sans]
    return certificates.alternative_names(names)


def api_server(configuration: Configuration) -> Unit:
    serving, client, store = SERVING.with_suffix(".crt"), paths.TLS / "client-kube-apiserver.crt", etcd.CLIENT
    pod_security = profile.write_pod_security(configuration)
    return Unit(
        name="kube-apiserver",
        command=(
            str(paths.PROGRAMS / "kube-apiserver"),
            f"--etcd-servers={etcd.URL}",
            f"--etcd-cafile={ETCD.certificate}",
            f"--etcd-certfile={store.with_suffix('.crt')}",
            f"--etcd-keyfile={store.with_suffix('.key')}",
            f"--advertise-address={configuration.node_ip}",
            "--secure-port=6443",
            "--anonymous-auth=false",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--admission-control-config-file={pod_security}",
            f"--service-cluster-ip-range={configuration.service_cidr}",
            f"--tls-cert-file={serving}",
            f"--tls-private-key-file={serving.with_suffix('.key')}",
            f"--client-ca-file={SERVER.certificate}",
            f"--kubelet-client-certificate={client}",
            f"--kubelet-client-key={client.with_suffix('.key')}",
            f"--kubelet-certificate-authority={SERVER.certificate}",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            f"--service-account-key-file={certificates.SERVICE_KEY}",
            f"--service-account-signing-key-file={certificates.SERVICE_KEY}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--profiling=false",
        ),
        files=(serving, client, pod_security),
    )


def controllers(configuration: Configuration, *, elect: bool) -> tuple[Unit, Unit]:
    """Controller manager and scheduler. A server that is alone elects no leader: that takes 15 s after a reboot."""
    manager = paths.CREDENTIALS / "controller.kubeconfig"
    scheduler = paths.CREDENTIALS / "scheduler.kubeconfig"
    common = ("--bind-address=127.0.0.1", f"--leader-elect={str(elect).lower()}", "--profiling=false")
    return (
        Unit(
            name="kube-controller-manager",
            command=(
                str(paths.PROGRAMS / "kube-controller-manager"),
                f"--kubeconfig={manager}",
                f"--service-account-private-key-file={certificates.SERVICE_KEY}",
                f"--root-ca-file={SERVER.certificate}",
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
