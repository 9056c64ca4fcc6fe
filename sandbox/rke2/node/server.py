"""`rke2 server`: from config.yaml to a node that is Ready, then serve machines that join, until it is stopped."""

import contextlib
import json
import time

from . import (
    api_access,
    bootstrap,
    containerd,
    control_plane,
    etcd,
    etcd_members,
    image_archives,
    images,
    joining,
    kubelet,
    node_password,
    paths,
    profile,
    release,
    service,
    units,
)
from .api import Api, ApiError
from .configuration import Configuration
from .error import Rke2Error
from .etcd import EtcdError
from .node_password import RejectedError
from .supervisor import Supervisor

_ETCD_SECONDS = 60
_API_SECONDS = 120
_NODE_SECONDS = 180
_REFRESH_SECONDS = 3
_ROLES = {"node-role.kubernetes.io/control-plane": "true", etcd_members.ROLE: "true"}
_OWN_API_SERVER = "127.0.0.1:6443"


def serve(configuration: Configuration) -> None:
    """Run the server. Raises Rke2Error with the last words of a part that does not come up in time."""
    profile.check(configuration, is_server=True)
    service.tell("STATUS=fetching images")
    images.fetch(is_server=True, registry=configuration.registry)
    service.link_programs()
    if not etcd.is_initialized():
        # Of a datastore that was removed: as RKE2, which then takes away the manifests of its static pods.
        units.stop_by_name("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
        _enter_cluster(configuration)
    was_reset = paths.RESET_FLAG.exists()
    paths.RESET_FLAG.unlink(missing_ok=True)
    release.require_data_of_no_newer_minor()
    control_plane.configure(configuration)
    runtime = containerd.configure(configuration.default_runtime, configuration.registry)
    node = kubelet.configure(configuration, *kubelet.own_certificates(configuration))
    # RKE2's own children end with it. After an end by force they are still there, with their old configuration.
    units.stop((node, runtime))
    store, api_server = etcd.unit(configuration), control_plane.api_server(configuration)
    if paths.FORCE_RESTART.exists():
        paths.FORCE_RESTART.unlink()
        units.stop((*control_plane.controllers(configuration, elect=True), api_server, store))

    service.tell("STATUS=starting the API server")
    units.start((store, runtime))
    service.wait(lambda: etcd.is_learner() is not None, "etcd answers", "etcd", _ETCD_SECONDS)
    if configuration.server is not None:
        joining.wait_for_vote(configuration)
    etcd.require_address(configuration)  # which a learner is not asked: etcd lists no members to it
    bootstrap.settle(configuration)
    api_access.remember([_OWN_API_SERVER])
    units.start((api_server, api_access.unit(configuration, is_server=True)))
    api = Api(control_plane.ADMIN.with_suffix(".crt"))
    service.wait(api.ready, "the API server is ready", "kube-apiserver", _API_SECONDS)
    release.note_data()
    bootstrap.note_version()
    image_archives.load(configuration.registry)
    kubelet_start = int(time.time())
    units.start((*control_plane.controllers(configuration, elect=len(etcd.members()) > 1), node))
    api.ensure(
        "/apis/node.k8s.io/v1/runtimeclasses",
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}, "handler": "nvidia"},
    )
    service.tell("STATUS=waiting for this node")
    name = configuration.node_name
    service.wait(lambda: api.node_is_ready(name, kubelet_start), f"node {name} is Ready", "kubelet", _NODE_SECONDS)
    member = json.loads(paths.MEMBER.read_text())["name"]
    api.mark_node(name, labels=_ROLES, annotations={etcd_members.MEMBER_NAME: member})
    if was_reset:
        node_password.forget(api, name)
    try:
        node_password.check(api, name, node_password.own())
    except RejectedError as rejected:
        raise Rke2Error(str(rejected)) from None

    _supervise(configuration, api)
    units.stop((node, runtime))


def _enter_cluster(configuration: Configuration) -> None:
    if configuration.server is not None:
        joining.become_server(configuration)
    else:
        name = etcd.new_name(configuration)
        etcd.initialize(name, {name: etcd.peer_url(configuration)}, joins=False)


def _supervise(configuration: Configuration, api: Api) -> None:
    """Serve machines that join, know the other API servers, let members go, until this process is stopped."""
    # With a second server two of a kind would be at work, so they are told to elect one before it comes.
    elect = control_plane.controllers(configuration, elect=True)
    supervisor = Supervisor(configuration, api, before_another_server=lambda: units.start(elect))
    supervisor.start(control_plane.SERVING.with_suffix(".crt"))
    print(f"rke2 is up: node {configuration.node_name}", flush=True)
    service.tell("READY=1\nSTATUS=running")
    while not service.stopped(_REFRESH_SECONDS):
        with contextlib.suppress(ApiError, EtcdError):  # it is asked again
            others = [server for server in api.servers() if server != f"{configuration.node_ip}:6443"]
            api_access.remember([_OWN_API_SERVER, *others])
            etcd_members.follow(api)
