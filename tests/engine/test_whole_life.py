"""The whole life of a stack as a person lives it, with the real CLI, over real SSH: from `make new-stack` to `destroy`.

Nothing boots: see person.py and loopback_cloud.py.
"""

import json
import sys
from pathlib import Path

import pytest
from install_step import install
from person import NETWORK, Person

pytestmark = pytest.mark.engine
FIRST, SECOND = "mlops-k8s-master", "gpu"
VM, COMMAND = "azure-native:compute:VirtualMachine", "command:remote:Command"
RELEASE = "kubernetes:helm.sh/v3:Release"
NODE_POOL = {"vmSize": "Standard_NC24ads_A100_v4", "migDevices": {"1g.10gb": 7}}
NODE_POOLS = [{"name": FIRST, "role": "server", **NODE_POOL}, {"name": SECOND, "role": "agent", **NODE_POOL}]


@pytest.mark.timeout(900)
def test_a_stack_lives_from_new_stack_to_destroy(person: Person) -> None:
    person.run(sys.executable, "-m", "scripts.new_stack", "prod")
    install(person.checkout)

    # Nothing is known yet: no address, no machine, no kubeconfig.
    planned = person.preview()
    assert set(planned) == {"create"}
    assert {f"{VM} {FIRST}-vm", f"{COMMAND} {FIRST}-converge", f"{RELEASE} gpu-operator-release"} <= planned["create"]
    assert person.machines() == {}

    person.up()
    first = person.machines()[FIRST]
    assert person.output("addresses") == {FIRST: f"{NETWORK}.10"}
    assert person.output("verification")["passed"] is True
    run = [" ".join(command) for command in person.commands(first)]
    assert run[0].startswith("sh -c ")  # the release
    assert run[1:3] == ["/usr/local/sbin/mig-k8s permit-founding", "/usr/local/sbin/mig-k8s update"]
    assert run[-1] == "/usr/local/sbin/mig-k8s verify"
    assert person.releases(first) == 1
    person.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert len(person.commands(first)) == len(run)

    person.edit(nodePools=NODE_POOLS, clusterMayBeLost=True)
    planned = person.preview()
    assert f"{VM} {SECOND}-vm" in planned["create"]
    assert f"{COMMAND} {SECOND}-converge" in planned["create"]
    assert f"{VM} {FIRST}-vm" not in set().union(*planned.values())  # what stays as it is has no step
    person.up()
    assert person.machines()[FIRST] == first
    second = person.machines()[SECOND]
    assert ["/usr/local/sbin/mig-k8s", "update"] in [each[:2] for each in person.commands(second)]

    person.edit(rebuild={FIRST: "once more", SECOND: "once more"})
    planned = person.preview()
    replaced = set().union(*(names for operation, names in planned.items() if "replace" in operation))
    assert {f"{VM} {FIRST}-vm", f"{VM} {SECOND}-vm"} <= replaced
    addresses = person.output("addresses")
    person.up()
    again = person.machines()
    assert sorted(again) == [SECOND, FIRST]
    assert {first, second}.isdisjoint(again.values())
    assert person.output("addresses") == addresses
    for machine in again.values():
        assert ["/usr/local/sbin/mig-k8s", "update"] in [each[:2] for each in person.commands(machine)]
    assert person.releases(again[FIRST]) == 1, "the new cluster stayed empty"
    person.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")

    state = person.pulumi("stack", "export")
    private = Path(person.variables["SSH_KEY"]).read_text().splitlines()[1:-1]
    assert [line for line in private if line in state] == []
    assert again[FIRST] in state
    assert f"token: {again[FIRST]}" not in state, "a kubeconfig lies in clear"

    person.pulumi("destroy", "--yes", "--skip-preview")
    assert person.azure() == {}
    assert person.machines() == {}
    assert json.loads(person.pulumi("stack", "export"))["deployment"].get("resources", []) == []
