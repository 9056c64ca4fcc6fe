"""What a stack adds to RKE2's configuration: nothing that this program decides itself, or that ends the cluster."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from plan.machine.rke2 import MANAGED_KEYS
from plan.problems import Problem, Refusal, names_a_secret, nearest_word
from plan.stack_file.settings import Settings
from plan.stack_file.shapes import shown
from plan.stack_file.values.releases import AS_OF

_KEYS = Path(__file__).parent.parent / "stack_file/data/rke2-config-keys.txt"
"""The flags of `rke2 server` and `rke2 agent`, hidden ones too (rancher/rke2 pkg/cli/cmds, docs.rke2.io references)."""


def managed_rke2_keys(settings: Settings) -> Iterator[Problem]:
    """rke2.config keys that this program writes itself, secrets in clear, and mappings, which RKE2 does not take."""
    for key, value in settings.rke2.config.items():
        path = f"mig-k8s:rke2.config.{key}"
        plain = _plain(key)
        if plain in MANAGED_KEYS:
            remedy = MANAGED_KEYS[plain] or "Leave it out."
            yield Refusal("this program decides this key", remedy=remedy, hide=names_a_secret(plain)).at(
                path, shown(value)
            )
        elif isinstance(value, dict):
            yield Refusal(
                "a mapping, and RKE2's config.yaml has no nested values",
                allowed="text, a number, true or false, or a list",
                hide=True,
            ).at(path, "")
        elif names_a_secret(plain):
            yield Refusal(
                "a secret in clear: it would stand in the stack file and on every machine",
                remedy="Leave it out; RKE2 takes most secrets from a file too, and S3 keys from etcd-s3-config-secret.",
                hide=True,
            ).at(path, shown(value))


def artifacts_that_nothing_checks(settings: Settings) -> Iterator[Problem]:
    """RKE2 over plain http without a checksum from elsewhere: the list of checksums comes the same way."""
    artifacts = settings.sources.rke2_artifacts
    if artifacts is not None and artifacts.startswith("http://") and settings.rke2.checksum is None:
        yield Refusal(
            "plain http without rke2.sha256: anybody on the way could send the machines another RKE2",
            allowed="https://…, or http://… with rke2.sha256",
            remedy="sha256sum rke2.linux-amd64.tar.gz",
        ).at("mig-k8s:sources.rke2Artifacts", artifacts)


def release_that_only_its_own_list_checks(settings: Settings) -> Iterator[Problem]:
    """A warning for a release whose checksum comes from where the release itself comes from."""
    if settings.rke2.checksum is None:
        yield Problem(
            path="mig-k8s:rke2.sha256",
            value="",
            what=f"is missing, and this program does not know the checksum of {settings.rke2.version}: a machine holds "
            "the tarball to the list beside it, which shows damage, but not that somebody replaced both",
            remedy="Write what `sha256sum rke2.linux-amd64.tar.gz` prints, of a tarball that you trust.",
        )


def install_script_of_older_versions(settings: Settings) -> Iterator[Problem]:
    """A warning for sources.rke2Install, which nothing reads any more."""
    if settings.sources.rke2_install is not None:
        yield Problem(
            path="mig-k8s:sources.rke2Install",
            value="",
            what="is not read any more: RKE2's install script is not run, its tarball is checked and unpacked instead",
            remedy="Leave it out. The tarball's mirror is sources.rke2Artifacts, its checksum rke2.sha256.",
        )


def unknown_rke2_keys(settings: Settings) -> Iterator[Problem]:
    """A warning for every key that RKE2 does not know: it logs them and goes on."""
    for key, value in settings.rke2.config.items():
        if _plain(key) not in _known_keys():
            near = nearest_word(_plain(key).replace("_", "-"), _known_keys())
            yield Problem(
                path=f"mig-k8s:rke2.config.{key}",
                value="(not shown)" if names_a_secret(key) else shown(value),
                what=f"no key that this program knows of RKE2 (as of {AS_OF}): RKE2 only logs unknown ones",
                remedy=f"Did you mean {near}?" if near else "",
            )


def _plain(key: str) -> str:
    """The key itself: RKE2 reads `key+` as an addition to what another file says of `key`."""
    return key.removesuffix("+")


@cache
def _known_keys() -> tuple[str, ...]:
    return tuple(_KEYS.read_text(encoding="utf-8").split())


_ONCE = "Leave it out. `rke2 server --cluster-reset`, by hand on a machine, resets a cluster once."
_ENDS = {
    "cluster-reset": ("makes each server forget all others at every start", _ONCE),
    "cluster-reset-restore-path": ("puts an old snapshot in place of the cluster's data at every start", _ONCE),
    "disable-apiserver": ("no machine would run an API server: all servers have this configuration", "Leave it out."),
    "disable-etcd": ("no machine would keep the cluster's data: all servers have this configuration", "Leave it out."),
}
"""Keys that end the cluster when they are on: why, and what to do."""


@dataclass(frozen=True, slots=True)
class _Argument:
    """A flag of a Kubernetes program that opens or ends the cluster when its value has one of these parts."""

    keys: tuple[str, ...]
    flag: str
    values: tuple[str, ...]
    reason: str


_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")
_SERVERS_OF_REQUESTS = ("kube-apiserver-arg", "kubelet-arg")
_GIVES_AWAY = (
    _Argument(_SERVERS_OF_REQUESTS, "authorization-mode", ("alwaysallow",), "lets everybody do everything"),
    _Argument(_SERVERS_OF_REQUESTS, "anonymous-auth", _TRUE, "answers people who do not say who they are"),
    _Argument(("etcd-arg",), "client-cert-auth", _FALSE, "lets everybody read and write the cluster's data"),
    _Argument(("etcd-arg",), "peer-client-cert-auth", _FALSE, "lets everybody become a member of etcd"),
    _Argument(("etcd-arg",), "force-new-cluster", _TRUE, "makes etcd forget its other members at every start"),
)


def rke2_config_that_ends_the_cluster(settings: Settings) -> Iterator[Problem]:
    """Keys and arguments by which a cluster loses its data, its members or its locks."""
    config = settings.rke2.config
    for key, value in config.items():
        path, plain = f"mig-k8s:rke2.config.{key}", _plain(key)
        kept_elsewhere = plain == "disable-etcd" and "datastore-endpoint" in config
        if plain in _ENDS and value not in (None, False, "", "false") and not kept_elsewhere:
            what, remedy = _ENDS[plain]
            yield Refusal(what, remedy=remedy).at(path, shown(value))
        items = value if isinstance(value, list) else [value]
        for flag, given in (_argument(item) for item in items if isinstance(item, str)):
            for each in _GIVES_AWAY:
                if plain in each.keys and flag == each.flag and set(given.lower().split(",")) & set(each.values):
                    yield Refusal(f"{flag}={given} {each.reason}", remedy="Leave it out.").at(path, shown(value))


def _argument(text: str) -> tuple[str, str]:
    """A flag and its value; without one it is true."""
    flag, equals, value = text.strip().lstrip("-").partition("=")
    return flag, value.strip() if equals else "true"
