"""`rke2 agent`: its certificates come from a server, and it reaches the API servers by its own proxy."""

import time

from . import api_access, containerd, image_archives, images, joining, kubelet, paths, profile, service, units
from .api import Api
from .configuration import Configuration
from .error import Rke2Error

_NODE_SECONDS = 180
_REFRESH_SECONDS = 10


def serve(configuration: Configuration) -> None:
    """Run the agent. Raises Rke2Error for what is wrong with this machine; servers that are away are waited for."""
    if configuration.server is None:
        raise Rke2Error("server: is required to run an agent: https://<address of a server>:9345")
    if configuration.token is None:
        raise Rke2Error(f"token: is required to join; a server has it in {paths.NODE_TOKEN}")
    profile.check(configuration, is_server=False)
    service.tell("STATUS=fetching images")
    images.fetch(is_server=False, registry=configuration.registry)
    service.link_programs()
    configuration = joining.become_agent(configuration)
    runtime = containerd.configure(configuration.default_runtime, configuration.registry)
    client, serving = paths.AGENT / "client-kubelet.crt", paths.AGENT / "serving-kubelet.crt"
    node = kubelet.configure(configuration, serving, client)
    units.stop((node, runtime))
    paths.FORCE_RESTART.unlink(missing_ok=True)

    kubelet_start = int(time.time())
    units.start((api_access.unit(configuration, is_server=False), runtime))
    image_archives.load(configuration.registry)
    units.start((node,))
    service.tell("STATUS=waiting for this node")
    api, name = Api(client), configuration.node_name
    service.wait(lambda: api.node_is_ready(name, kubelet_start), f"node {name} is Ready", "kubelet", _NODE_SECONDS)
    print(f"rke2 is up: node {name}", flush=True)
    service.tell("READY=1\nSTATUS=running")
    while not service.stopped(_REFRESH_SECONDS):
        joining.refresh_api_servers(configuration)
    units.stop((node, runtime))
