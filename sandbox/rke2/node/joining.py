"""How a machine joins through a server that is there: as another server, or as an agent."""

import dataclasses
import ipaddress
import json
import sys

from . import api_access, bootstrap, certificates, etcd, paths, release, service, supervisor
from .certificates import ETCD
from .configuration import Configuration
from .error import Rke2Error
from .upstream import Upstream, UpstreamError

_MEMBER_SECONDS = 600
"""How long other servers that join at the same time may take: etcd takes in one after the other."""
_CLIENT, _SERVING = paths.AGENT / "client-kubelet", paths.AGENT / "serving-kubelet"


def become_server(configuration: Configuration) -> None:
    """Take over the cluster's keys and enter etcd. Raises Rke2Error."""
    try:
        upstream = _find(configuration, "server", configuration.server or "")
        _require_same(supervisor.cluster_settings(configuration), upstream.get("config"))
        given = upstream.get_as(configuration, "server-bootstrap")
    except UpstreamError as error:
        raise Rke2Error(f"cannot join {configuration.server}: {error}") from None
    folder = ETCD.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    bootstrap.write_files(given)
    name = etcd.new_name(configuration)
    try:
        cluster = _admitted(upstream, configuration, name)
    except UpstreamError as error:
        raise Rke2Error(f"etcd cluster join failed: {error.answer or error}") from None
    etcd.initialize(name, cluster, joins=True)


def wait_for_vote(configuration: Configuration) -> None:
    """Wait until this server's etcd member has a vote. Needs the others only the first time. Raises Rke2Error."""
    name = json.loads(paths.MEMBER.read_text())["name"]

    def has_vote() -> bool:
        is_learner = etcd.is_learner()
        if is_learner:
            _admitted(_find(configuration, "server", configuration.server or ""), configuration, name)
        return is_learner is False

    try:
        service.wait(has_vote, "etcd has caught up with the cluster", "etcd", _MEMBER_SECONDS)
    except UpstreamError as error:
        raise Rke2Error(f"etcd cannot finish joining through {configuration.server}: {error}") from None


def become_agent(configuration: Configuration) -> Configuration:
    """Certificates for this node, and the configuration with what the cluster decides.

    Tries until it works, as RKE2 does: servers may come later. Ends the process when it is stopped meanwhile.
    """
    said = ""
    while True:
        try:
            upstream = _any(configuration)
            return _certified(configuration, upstream)
        except (UpstreamError, Rke2Error) as error:
            words = f"Waiting to retrieve agent configuration; server is not ready: {error}"
        if words != said:
            print(words, flush=True)
            service.tell(f"STATUS={words}")
            said = words
        if service.stopped(2):
            sys.exit(0)


def refresh_api_servers(configuration: Configuration) -> None:
    """Ask whichever server answers where the API servers are. None answers: what is known stays."""
    try:
        api_access.remember(_any(configuration).get("apiservers"))
    except (UpstreamError, Rke2Error) as error:
        print(f"the API servers are not known anew: {error}", flush=True)


def _certified(configuration: Configuration, upstream: Upstream) -> Configuration:
    settings = upstream.get("config")
    paths.write(paths.AUTHORITY, upstream.authority, 0o644)
    for path in (_CLIENT, _SERVING):
        key = path.with_suffix(".key")
        if not key.exists():
            paths.write(key, certificates.new_key())
        certificate = upstream.sign(configuration, f"{path.name}.crt", certificates.request(key))
        paths.write(path.with_suffix(".crt"), certificate, 0o644)
    api_access.remember(upstream.get("apiservers"))
    return dataclasses.replace(
        configuration,
        cluster_cidr=ipaddress.IPv4Network(settings["cluster-cidr"]),
        service_cidr=ipaddress.IPv4Network(settings["service-cidr"]),
    )


def _any(configuration: Configuration) -> Upstream:
    """The first server that answers, of the one in config.yaml and those that were known last."""
    known = [f"https://{server.rpartition(':')[0]}:{supervisor.PORT}" for server in api_access.remembered()]
    failed: UpstreamError | None = None
    for url in dict.fromkeys([configuration.server or "", *known]):
        try:
            return _find(configuration, "node", url)
        except UpstreamError as error:
            failed = failed or error
    raise failed or UpstreamError("no server is known")


def _find(configuration: Configuration, user: str, url: str) -> Upstream:
    if configuration.token is None:
        raise Rke2Error(f"token: is required to join; a server has it in {paths.NODE_TOKEN}")
    upstream = Upstream.find(url, user, configuration.token)
    release.require_not_newer(release.version(), upstream.get("config")["version"])
    return upstream


def _require_same(own: dict[str, str], theirs: dict[str, str]) -> None:
    differing = [
        f"{key}: {own[key]} here, {theirs.get(key)} there"
        for key in own
        if key != "version" and own[key] != theirs.get(key)
    ]
    if differing:
        head = "failed to validate server configuration: critical configuration value mismatch between servers"
        raise Rke2Error("\n".join([head, *differing]))


def _admitted(upstream: Upstream, configuration: Configuration, name: str) -> dict[str, str]:
    """Every member's peer URL by name, this one's included."""
    answers: list[dict[str, str]] = []

    def is_admitted() -> bool:
        try:
            wanted = {"name": name, "peer": etcd.peer_url(configuration)}
            answers.append(json.loads(upstream.put("etcd-member", wanted))["cluster"])
        except UpstreamError as error:
            if error.status != 503:
                raise
            service.tell(f"STATUS=waiting to enter etcd: {error}")
            return False
        return True

    service.wait(is_admitted, f"{upstream.url} has taken this server's etcd in", "etcd", _MEMBER_SECONDS)
    return answers[-1]
