"""On a host whose name server is dead, apt gives up after seconds and its reason is told."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.debian import apt

pytestmark = pytest.mark.sandbox
_INSTALLS = """
from sandbox.error import SandboxError
from sandbox.debian import packages
try:
    packages.install_missing({"no-such-program": "no-such-package"})
except SandboxError as error:
    print(error)
"""
_IN_A_NETWORK_WITH_A_DEAD_NAME_SERVER = """
set -e
ip link set lo up
ip link add dead type veth peer name nobody
ip link set nobody up
ip address add 10.77.0.1/24 dev dead
ip link set dead up
ip neighbour add 10.77.0.53 lladdr 02:00:00:00:00:53 dev dead
mount --bind "$1" /etc/resolv.conf
exec "$2" -c "$3"
"""


@pytest.mark.timeout(150)
def test_an_installation_ends_and_tells_that_no_name_was_found(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("namespaces are root's")
    (tmp_path / "resolv.conf").write_text("nameserver 10.77.0.53\n")
    (tmp_path / "sources").write_text(
        "deb [trusted=yes] http://one.example/debian bookworm main\n"
        "deb [trusted=yes] http://two.example/security bookworm-security main\n"
    )
    for folder in ("empty", "lists/partial", "archives/partial"):
        (tmp_path / folder).mkdir(parents=True)
    places = {"Etc::sourcelist": "sources", "Etc::sourceparts": "empty", "State::lists": "lists", "Cache": ""}
    (tmp_path / "apt.conf").write_text("".join(f'Dir::{key} "{tmp_path}/{to}";\n' for key, to in places.items()))
    shell = ["sh", "-c", _IN_A_NETWORK_WITH_A_DEAD_NAME_SERVER, "sh", f"{tmp_path}/resolv.conf"]
    started = time.monotonic()
    done = subprocess.run(
        ["unshare", "--mount", "--net", *shell, sys.executable, _INSTALLS],
        cwd=Path(apt.__file__).parents[2],
        env={**os.environ, "APT_CONFIG": str(tmp_path / "apt.conf")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert time.monotonic() - started < 30
    assert done.stdout.startswith("no-such-package could not be installed: apt-get install failed:\n"), done.stderr
    assert "Temporary failure resolving 'one.example'" in done.stdout
