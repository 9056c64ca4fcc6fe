"""What the rke2 stage does about pods and the cloud's metadata service, with an nft that keeps what it is given."""

import pytest
from a_machine import AMachine
from install_stages import run
from rke2_on_machine import NFT, RKE2, put_in_place

READY = "done RKE2 v1.35.7+rke2r1 server is ready"
UNCHANGED = READY.replace("done", "unchanged")
OPEN = {**RKE2, "RKE2_PODS_REACH_METADATA": "1"}
RULES = "etc/mig-k8s/pods.nft"
TABLE = """\
table inet mig_k8s
delete table inet mig_k8s
table inet mig_k8s {
\tchain pods {
\t\ttype filter hook forward priority filter - 10; policy accept;
\t\tip daddr 169.254.169.254 reject with icmpx type admin-prohibited
\t\tip daddr 168.63.129.16 tcp dport { 80, 32526 } reject with icmpx type admin-prohibited
\t}
}
"""


def test_pods_are_refused_before_rke2_starts_and_only_what_is_forwarded_is_looked_at(rke2_machine: AMachine) -> None:
    assert run(rke2_machine, "rke2", **RKE2)[1] == READY
    assert rke2_machine.read(RULES) == (rke2_machine.state / "nft").read_text(encoding="utf-8") == TABLE
    calls = rke2_machine.calls()
    assert calls.index(f"nft --file {rke2_machine.path(RULES)}") < calls.index("systemctl start rke2-server.service")
    assert run(rke2_machine, "rke2", **RKE2)[1] == UNCHANGED
    assert len(rke2_machine.calls("nft --file")) == 1


def test_rules_that_somebody_has_flushed_come_back_without_a_restart(rke2_server: AMachine) -> None:
    (rke2_server.state / "nft").unlink()
    assert run(rke2_server, "rke2", **RKE2)[1] == READY
    assert (rke2_server.state / "nft").exists()
    assert rke2_server.calls("systemctl restart") == []


def test_a_stack_that_opens_the_service_to_pods_takes_the_rules_away_and_one_that_closes_it_brings_them(
    rke2_server: AMachine,
) -> None:
    assert run(rke2_server, "rke2", **OPEN)[1] == READY
    assert (rke2_server.path(RULES).exists(), (rke2_server.state / "nft").exists()) == (False, False)
    assert run(rke2_server, "rke2", **OPEN)[1] == UNCHANGED
    assert run(rke2_server, "rke2", **RKE2)[1] == READY
    assert (rke2_server.state / "nft").exists()
    assert rke2_server.calls("systemctl restart") == []


def test_a_machine_without_nft_gets_it(rke2_machine: AMachine) -> None:
    rke2_machine.path("usr/sbin/nft").unlink()
    assert run(rke2_machine, "rke2", **RKE2)[1] == READY
    (call,) = rke2_machine.calls("apt-get install")
    assert call.endswith(" nftables")
    calls = [call.split()[0] for call in rke2_machine.calls() if call.startswith(("apt-get", "nft"))]
    assert calls == ["apt-get", "apt-get", "nft"]  # lists, the package, the rules


@pytest.mark.parametrize("machine_is", ["new", "running"])
def test_rules_that_the_kernel_does_not_take_leave_rke2_untouched(rke2_machine: AMachine, machine_is: str) -> None:
    if machine_is == "running":
        assert run(rke2_machine, "rke2", **OPEN)[1] == READY
    rke2_machine.program("nft", 'echo "Error: Could not process rule: Operation not supported" >&2; exit 1')
    rke2_machine.forget_calls()
    code, last, ended = run(rke2_machine, "rke2", **RKE2)
    assert code == 1
    assert last == (
        "failed pods cannot be kept from the metadata service, so RKE2 was not touched: nft says Error: Could not"
        " process rule: Operation not supported. network.podsReachMetadata: true leaves it open to them"
    )
    assert rke2_machine.calls("systemctl start") + rke2_machine.calls("systemctl restart") == []
    assert ("half-changed" in ended.stdout, put_in_place(rke2_machine)) == (False, 0)
    rke2_machine.program("nft", NFT)
    assert run(rke2_machine, "rke2", **RKE2)[1] == READY
