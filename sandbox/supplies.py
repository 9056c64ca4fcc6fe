"""What the machines of a sandbox get from its mirror, and where a stack file says so."""

import json
from pathlib import Path
from typing import Any

import yaml

from plan.stack_file.settings import GpuOperator, Rke2
from sandbox.gpu_operator import nvidias
from sandbox.gpu_operator import release as gpu_operator
from sandbox.instance import Sandbox
from sandbox.mirror import apt_keys, apt_repositories, registry
from sandbox.mirror.packages import Ours
from sandbox.mirror.server import Mirror
from sandbox.rke2 import artifact as rke2
from sandbox.tools import toolchain


def refuse(stack_file: Path) -> None:
    """Refuse what is known to be missing before anything is built or started. Raises SandboxError."""
    if source := nvidias.given():
        nvidias.refuse(source, _operator_version(_config(stack_file)))


def publish(sandbox: Sandbox, stack_file: Path, *, older_program: bool) -> dict[str, dict[str, str]]:
    """Fill the mirror for the stack and return what its stack file says of it: section → key → value.

    `older_program`: it may be one that runs RKE2's install script.
    """
    tree, address, config = Mirror(sandbox).root, sandbox.mirror_url, _config(stack_file)
    tree.mkdir(parents=True, exist_ok=True)
    version = str(_section(config, "rke2").get("version") or Rke2().version)
    apt_repositories.publish(tree, Ours.built())
    registry.publish_cuda_sample(tree, toolchain.gpu())
    rke2.publish(tree, toolchain.kubernetes(), version)
    if source := nvidias.given():
        nvidias.publish(tree, source, _operator_version(config), toolchain.helm())
    else:
        gpu_operator.publish(tree, toolchain.operator(), toolchain.gpu_inventory(), toolchain.helm())
    sources = {
        "toolkitApt": f"{address}/toolkit#{apt_keys.fingerprint('toolkit')}",
        "rke2Artifacts": f"{address}/rke2/{version}",
        "gpuOperatorChart": f"https://{sandbox.mirror_address}/charts",
    }
    if _section(config, "sources").get("ubuntuApt"):
        sources["ubuntuApt"] = f"{address}/ubuntu"
    if older_program:
        rke2.publish_install_script(tree)
        sources["rke2Install"] = f"{address}/rke2/install.sh"
    # The mirror's http proves nothing: the tarball is held to what the stack file says.
    told = {"sources": sources, "rke2": {"sha256": rke2.tarball_checksum(tree / "rke2" / version)}}
    _file(sandbox.root).write_text(json.dumps(told, indent=2) + "\n")
    return told


def published(root: Path) -> dict[str, dict[str, str]] | None:
    """The same of the sandbox in `root` as it is; None before it was ever set up."""
    file = _file(root)
    return json.loads(file.read_text()) if file.exists() else None


def _file(root: Path) -> Path:
    return root / "supplies.json"


def _operator_version(config: dict[str, Any]) -> str:
    return str(_section(config, "gpuOperator").get("version") or GpuOperator().version)


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    return config.get(f"mig-k8s:{name}") or {}


def _config(stack_file: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(stack_file.read_text())["config"]
    return config
