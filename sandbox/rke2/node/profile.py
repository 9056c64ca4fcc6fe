"""RKE2's CIS profile: what it asks of the machine, and what pods may do under it (RKE2's hardening guide)."""

import grp
import pwd
from pathlib import Path

import yaml

from . import paths
from .configuration import Configuration
from .error import Rke2Error

_KERNEL = {"vm.overcommit_memory": 1, "vm.panic_on_oom": 0, "kernel.panic": 10, "kernel.panic_on_oops": 1}
_EXEMPT = ("kube-system", "cis-operator-system", "tigera-operator")


def check(configuration: Configuration, *, is_server: bool) -> None:
    """Check this machine for the profile. Raises Rke2Error with everything that it lacks."""
    problems = []
    if configuration.profile == "cis":
        for name, wanted in _KERNEL.items():
            seen = Path("/proc/sys", *name.split(".")).read_text().strip()
            if seen != str(wanted):
                problems.append(f"invalid kernel parameter value {name}={seen} - expected {wanted}")
    if problems:
        settings = paths.SHARE / "rke2-cis-sysctl.conf"
        problems.append(f"copy {settings} to /etc/sysctl.d/60-rke2-cis.conf and load it: sysctl -p")
    if configuration.profile and is_server and (missing := _missing_accounts()):
        problems += [*missing, "make them: useradd -r -c 'etcd user' -s /sbin/nologin -M -U etcd"]
    if problems:
        raise Rke2Error("\n".join(problems))


def _missing_accounts() -> list[str]:
    missing = []
    for kind, find in (("user", pwd.getpwnam), ("group", grp.getgrnam)):
        try:
            find("etcd")
        except KeyError:
            missing.append(f"missing required: {kind}: unknown {kind} etcd")
    return missing


def write_pod_security(configuration: Configuration) -> Path:
    """The API server's defaults for namespaces without labels of their own; returns the file."""
    is_cis = configuration.profile == "cis"
    level = "restricted" if is_cis else "privileged"
    modes = ("enforce", "audit", "warn") if is_cis else ("enforce",)
    defaults = dict.fromkeys(modes, level) | {f"{mode}-version": "latest" for mode in modes}
    exemptions = {"usernames": [], "runtimeClasses": [], "namespaces": list(_EXEMPT) if is_cis else []}
    plugin = {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": defaults,
        "exemptions": exemptions,
    }
    content = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": "PodSecurity", "configuration": plugin}],
    }
    paths.write(paths.POD_SECURITY, yaml.safe_dump(content, sort_keys=False))
    return paths.POD_SECURITY
