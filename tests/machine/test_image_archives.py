"""Archives of container images on a machine: they come, are held to their checksums, and go with the stack file."""

import hashlib

from a_machine import AMachine
from install_stages import fetched, run, web
from rke2_on_machine import RKE2

ARCHIVE = "https://mirror.example/images/rke2-images-core.linux-amd64.tar.zst"
IMAGES = "var/lib/rancher/rke2/agent/images"


def archive(machine: AMachine, content: bytes, address: str = ARCHIVE) -> str:
    """What the web has there; how the stack file names it."""
    web(machine, address.removeprefix("https://"), content)
    return f"{address}#{hashlib.sha256(content).hexdigest()}"


def lies_there(machine: AMachine) -> dict[str, str]:
    """What RKE2 finds in its folder of images."""
    return {path.name: path.read_text(encoding="utf-8") for path in machine.path(IMAGES).glob("*")}


def with_archives(*archives: str) -> dict[str, str]:
    return {**RKE2, "RKE2_IMAGE_ARCHIVES": " ".join(archives)}


def test_archives_of_images_lie_where_rke2_imports_them_once_each(rke2_machine: AMachine) -> None:
    both = archive(rke2_machine, b"core"), archive(rke2_machine, b"gpu", "https://mirror.example/operator.tar")
    assert run(rke2_machine, "rke2-download", **with_archives(*both))[1] == (
        "done RKE2 v1.35.7+rke2r1 is installed, 2 image archives have come"
    )
    wanted = {"rke2-images-core.linux-amd64.tar.zst": "core", "operator.tar": "gpu", ".cache.json": ""}
    assert lies_there(rke2_machine) == wanted
    rke2_machine.write(f"{IMAGES}/.cache.json", "what RKE2 notes\n")
    rke2_machine.forget_calls()
    assert run(rke2_machine, "rke2-download", **with_archives(*both))[1] == (
        "unchanged RKE2 v1.35.7+rke2r1 is installed"
    )
    assert (fetched(rke2_machine), lies_there(rke2_machine)) == ([], {**wanted, ".cache.json": "what RKE2 notes\n"})


def test_one_that_is_named_no_more_goes_and_somebody_elses_stays(rke2_machine: AMachine) -> None:
    run(rke2_machine, "rke2-download", **with_archives(archive(rke2_machine, b"core")))
    rke2_machine.write(f"{IMAGES}/theirs.tar", "theirs")
    assert run(rke2_machine, "rke2-download", **with_archives())[0] == 0
    assert set(lies_there(rke2_machine)) == {"theirs.tar", ".cache.json"}


def test_another_content_under_the_same_name_takes_its_place(rke2_machine: AMachine) -> None:
    run(rke2_machine, "rke2-download", **with_archives(archive(rke2_machine, b"core")))
    run(rke2_machine, "rke2-download", **with_archives(archive(rke2_machine, b"newer")))
    assert lies_there(rke2_machine)["rke2-images-core.linux-amd64.tar.zst"] == "newer"


def test_one_that_somebody_deleted_comes_again(rke2_machine: AMachine) -> None:
    wanted = with_archives(archive(rke2_machine, b"core"))
    run(rke2_machine, "rke2-download", **wanted)
    rke2_machine.path(f"{IMAGES}/rke2-images-core.linux-amd64.tar.zst").unlink()
    run(rke2_machine, "rke2-download", **wanted)
    assert "rke2-images-core.linux-amd64.tar.zst" in lies_there(rke2_machine)


def test_another_checksum_is_told_and_rke2_does_not_get_it(rke2_machine: AMachine) -> None:
    wanted = archive(rke2_machine, b"core")
    web(rke2_machine, ARCHIVE.removeprefix("https://"), b"damaged")
    code, last, _ = run(rke2_machine, "rke2-download", **with_archives(wanted))
    assert code == 1
    assert last == (
        f"failed {ARCHIVE} has checksum 41f0c27c00e8018f7715b5f50f67b5b54c229c1b843a014152785d9005f58fde, and "
        f"sources.imageArchives says {wanted.partition('#')[2]}: it is damaged, or another file by now. RKE2 does not "
        "get it"
    )
    assert lies_there(rke2_machine) == {}


def test_what_a_killed_run_had_half_fetched_is_not_imported_and_does_not_stay(rke2_machine: AMachine) -> None:
    rke2_machine.write("var/lib/mig-k8s/image-archives/operator.tar", "half of")
    assert run(rke2_machine, "rke2-download", **with_archives())[0] == 0
    assert not rke2_machine.path("var/lib/mig-k8s/image-archives/operator.tar").exists()


def test_an_archive_comes_also_to_a_machine_whose_rke2_runs_and_nothing_restarts(rke2_machine: AMachine) -> None:
    run(rke2_machine, "rke2", **RKE2)
    rke2_machine.forget_calls()
    wanted = with_archives(archive(rke2_machine, b"core"))
    assert run(rke2_machine, "rke2-download", **wanted)[1] == (
        "done RKE2 v1.35.7+rke2r1 is installed, 1 image archives have come"
    )
    assert run(rke2_machine, "rke2", **wanted)[1] == "unchanged RKE2 v1.35.7+rke2r1 server is ready"
    assert rke2_machine.calls("systemctl restart") == []
