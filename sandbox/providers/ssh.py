"""SSH as the real command provider does it: dialled until somebody answers, host key pinned, a session a command."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import paramiko

from sandbox.providers.resource_provider import Failure
from sandbox.providers.values import Properties

LINE_BYTES = 64 * 1024
"""The real provider's log reader stops for ever at a line this long (bufio.Scanner's limit)."""
_FIRST_WAIT, _LONGEST_WAIT, _FACTOR = 0.1, 5.0, 1.5
_HANDSHAKE_SECONDS = 30.0
_HOST_KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a remote command said, without the last line feed."""

    stdout: str
    stderr: str


class _Pinned(paramiko.MissingHostKeyPolicy):
    """Accepts the one key it was told, or any if it was told none."""

    def __init__(self, line: str | None) -> None:
        self._line = line

    def missing_host_key(self, _client: paramiko.SSHClient, _host: str, key: paramiko.PKey) -> None:
        if self._line and self._line.split()[1] != key.get_base64():
            raise paramiko.SSHException("ssh: host key mismatch")


def dial(connection: Properties, deadline: float | None) -> paramiko.SSHClient:
    """A logged-in client, tried for as long as the connection's dialErrorLimit and the deadline (monotonic) allow.

    Everything is tried again, a wrong host key and a refused login too: so does the real provider.
    """
    limit, wait, dials = connection["dialErrorLimit"], _FIRST_WAIT, 0
    key = _private_key(connection)
    _host_key(connection)
    while True:
        try:
            return _connect(connection, key)
        except (OSError, paramiko.SSHException, EOFError) as error:
            dials += 1
            if 0 <= limit < dials:  # one dial more than it says
                where = f"{connection['host']}:{connection['port']:.0f}"
                raise Failure(f"after {limit} failed attempts: {_reason(error, where)}") from error
            if deadline is not None and time.monotonic() + wait > deadline:
                raise Failure("context deadline exceeded") from error
            time.sleep(wait)
            wait = min(wait * _FACTOR, _LONGEST_WAIT)


def run(
    client: paramiko.SSHClient,
    script: str,
    *,
    stdin: str,
    show: dict[str, Callable[[str], None]],
) -> Result:
    """Run `script` in the login shell and give its output to `show` ("stdout", "stderr") line by line as it comes."""
    transport = client.get_transport()
    if transport is None:
        raise Failure("ssh: the connection is closed")
    channel = transport.open_session()
    channel.exec_command(script)
    feeder = threading.Thread(target=_feed, args=(channel, stdin.encode()), daemon=True)
    feeder.start()
    said = {"stdout": _Reader(channel.makefile("rb"), show.get("stdout"))}
    said["stderr"] = _Reader(channel.makefile_stderr("rb"), show.get("stderr"))
    texts = {name: reader.text() for name, reader in said.items()}
    status = channel.recv_exit_status()
    output = f'running "{script}":\n{texts["stdout"]}{texts["stderr"]}'
    for name, reader in said.items():
        if reader.stuck:
            raise Failure(
                f"a line of 64 KiB or more on {name}, which is logged: the real provider hangs here. "
                f"Log the other stream or none ({output[:200]!r} …)"
            )
    if status == -1:
        raise Failure(f"wait: remote command exited without exit status or exit signal: {output}")
    if status:
        raise Failure(f"Process exited with status {status}: {output}")
    return Result(texts["stdout"].removesuffix("\n"), texts["stderr"].removesuffix("\n"))


class _Reader:
    """Reads one stream to its end in a thread of its own, so that neither stream holds up the other."""

    def __init__(self, stream: Iterable[bytes], show: Callable[[str], None] | None) -> None:
        self.stuck = False
        self._lines: list[bytes] = []
        self._stream, self._show = stream, show
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Everything, once the stream has ended."""
        self._thread.join()
        return b"".join(self._lines).decode(errors="replace")

    def _read(self) -> None:
        for line in self._stream:
            self._lines.append(line)
            if self._show is None or self.stuck:
                continue
            self.stuck = len(line.removesuffix(b"\n")) >= LINE_BYTES
            if not self.stuck:
                self._show(line.decode(errors="replace").rstrip("\r\n"))


def _connect(connection: Properties, key: paramiko.PKey | None) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(_Pinned(connection.get("hostKey")))
    pinned = connection["hostKey"].split()[0] if connection.get("hostKey") else None
    seconds = connection["perDialTimeout"] or None
    try:
        client.connect(
            connection["host"],
            connection["port"],
            connection["user"],
            connection.get("password"),
            key,
            timeout=seconds,
            # The real provider waits for a banner without end; a stand-in that never ends helps nobody.
            banner_timeout=_HANDSHAKE_SECONDS,
            auth_timeout=_HANDSHAKE_SECONDS,
            look_for_keys=False,
            allow_agent=bool(connection.get("agentSocketPath")),
            # A pinned key fixes the type that is negotiated.
            disabled_algorithms={"keys": [kind for kind in _HOST_KEY_TYPES if kind != pinned]} if pinned else None,
        )
    except BaseException:
        client.close()
        raise
    return client


def _private_key(connection: Properties) -> paramiko.PKey | None:
    text = connection.get("privateKey")
    if not text:
        return None
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), connection.get("privateKeyPassword"))
        except (paramiko.SSHException, ValueError):
            continue
    raise Failure("failed to parse private key: ssh: no key found")


def _host_key(connection: Properties) -> None:
    line = connection.get("hostKey")
    if line and len(line.split()) < 2:
        raise Failure("failed to parse host key: ssh: no key found")


def _reason(error: Exception, where: str) -> str:
    if isinstance(error, ConnectionRefusedError | paramiko.ssh_exception.NoValidConnectionsError):
        return f"dial tcp {where}: connect: connection refused"
    if isinstance(error, TimeoutError | socket.timeout):
        return f"dial tcp {where}: i/o timeout"
    if isinstance(error, OSError):
        return f"dial tcp {where}: connect: {(error.strerror or str(error)).lower()}"
    if isinstance(error, paramiko.AuthenticationException):
        tried = "attempted methods [none publickey], no supported methods remain"
        return f"ssh: handshake failed: ssh: unable to authenticate, {tried}"
    return f"ssh: handshake failed: {error or type(error).__name__}"


def _feed(channel: paramiko.Channel, data: bytes) -> None:
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except OSError:
        return  # the command ended without reading all of it: its exit status says what that means
