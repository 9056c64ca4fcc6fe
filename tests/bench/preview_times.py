"""How long a preview takes beside programs that declare nothing, on the same engine, in one run.

python tests/bench/preview_times.py     prints medians and ratios; exit code 1 when the ratio misses its goal

Three programs take turns, so that a machine that gets slower gets slower for all of them: one that is empty, one that
loads the same providers and the same modules of their SDKs but declares only one small resource of each, and ours with
the development stack. The SDKs are generated and large (network alone takes 0.7 s to import); what they cost is theirs.
The Azure stand-in, too, loads a module of the SDK for the first resource of it.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))

from sandbox.engine.environment import Environment  # noqa: E402 - the checkout is not an installed package

ROUNDS = 5
GOAL, SHARE = 1.3, 1.5
"""Our preview against the program that loads the same providers: at most so many times, and so many seconds more."""
EMPTY = "import pulumi\n"
PROVIDERS = """
import pulumi_azure_native as azure, pulumi_command, pulumi_kubernetes
azure.compute.VirtualMachine, azure.network.Subnet
pulumi_kubernetes.core.v1.Namespace, pulumi_kubernetes.helm.v3.Release
group = azure.resources.ResourceGroup("group")
space = {"addressPrefixes": ["10.0.0.0/16"]}
azure.network.VirtualNetwork("network", resource_group_name=group.name, address_space=space)
azure.compute.VirtualMachine("machine", resource_group_name=group.name)
pulumi_kubernetes.Provider("cluster", kubeconfig="")
pulumi_command.remote.Command("command", connection={"host": "192.0.2.1"}, create="true")
"""


def project(folder: Path, program: str) -> Path:
    """A Pulumi project of its own with this program."""
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: mig-k8s\nruntime: python\n")
    (folder / "__main__.py").write_text(program)
    return folder


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock seconds of one run."""
    begun = time.monotonic()
    run()
    return time.monotonic() - begun


def main() -> int:
    """Print the table; the exit code."""
    home = Path(tempfile.mkdtemp(prefix="mig-k8s-bench-"))
    try:
        environment = Environment(home / "sandbox", machines=False)
        environment.prepare(_ROOT / "Pulumi.dev.yaml", None)
        programs = {
            "an empty program": project(home / "empty", EMPTY),
            "the same providers and modules loaded": project(home / "providers", EMPTY + PROVIDERS),
            "Pulumi.dev.yaml": environment.project(),
        }
        taken: dict[str, list[float]] = {title: [] for title in programs}
        arguments = ("preview", "--non-interactive", "--config-file", str(environment.stack_file))
        for number in range(ROUNDS + 1):
            for title, folder in programs.items():
                spent = seconds(lambda folder=folder: environment.output(*arguments, project=folder))
                if number:  # the first round warms the page cache
                    taken[title].append(spent)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    medians = {title: statistics.median(each) for title, each in taken.items()}
    empty, loaded, ours = medians.values()
    for title, median in medians.items():
        print(f"preview of {title:40} {median:6.2f} s")
    print(f"ours against the empty program           {ours / empty:6.2f} ×")
    print(f"ours against the same providers loaded   {ours / loaded:6.2f} ×   goal {GOAL} ×")
    print(f"our own share                            {ours - loaded:6.2f} s   goal {SHARE} s")
    return int(ours / loaded > GOAL or ours - loaded > SHARE)


if __name__ == "__main__":
    sys.exit(main())
