"""An SSH server on loopback that runs commands with sh: the real protocol, keys and streams, without sshd or root."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko


@dataclass
class SshServer:
    """`connection` is the input of a remote.Command that reaches it."""

    host_key: paramiko.PKey
    client_key: str
    listener: socket.socket
    logins: list[str] = field(default_factory=list)
    refuses: bool = False
    """Whether no key of any client is good enough."""

    @property
    def connection(self) -> dict[str, object]:
        host, port = self.listener.getsockname()
        line = f"{self.host_key.get_name()} {self.host_key.get_base64()}"
        return {
            "host": host,
            "port": port,
            "user": "azureuser",
            "privateKey": self.client_key,
            "hostKey": line,
            "dialErrorLimit": 3,
            "perDialTimeout": 5,
        }

    def connection_to(self, port: int) -> dict[str, object]:
        """The same connection to another port."""
        return {**self.connection, "port": port}

    def serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed: the end
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self._session, args=(peer,), daemon=True).start()

    def _session(self, peer: socket.socket) -> None:
        transport = paramiko.Transport(peer)
        transport.add_server_key(self.host_key)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):  # the client did not like the host key
            transport.start_server(server=_Policy(self))


class _Policy(paramiko.ServerInterface):
    def __init__(self, server: SshServer) -> None:
        self._server = server

    def get_allowed_auths(self, _username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, _key: paramiko.PKey) -> int:
        if self._server.refuses:
            return paramiko.AUTH_FAILED
        self._server.logins.append(username)
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, _kind: str, _chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_run, args=(channel, command.decode()), daemon=True).start()
        return True


def _run(channel: paramiko.Channel, command: str) -> None:
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(["sh", "-c", command], **streams) as process:  # type: ignore[call-overload]
        pumps = [
            threading.Thread(target=_pump, args=(process.stdout, channel.sendall)),
            threading.Thread(target=_pump, args=(process.stderr, channel.sendall_stderr)),
        ]
        for pump in pumps:
            pump.start()
        with contextlib.suppress(BrokenPipeError), process.stdin:
            while data := channel.recv(65536):
                process.stdin.write(data)
        for pump in pumps:
            pump.join()
        status = process.wait()
    if status >= 0:  # ended by a signal: the connection ends without a status, as when a machine goes down
        channel.send_exit_status(status)
    channel.close()
    if status < 0:
        channel.get_transport().close()


def _pump(source, send) -> None:  # noqa: ANN001
    while data := source.read1(65536):
        send(data)


def new_key(folder: Path, name: str) -> Path:
    """The private half of a new ed25519 key; the public one lies beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    return folder / name


@contextlib.contextmanager
def ssh_server(host_key: paramiko.PKey, client_key: str) -> Iterator[SshServer]:
    """A server on a free port of 127.0.0.1, gone at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = SshServer(host_key, client_key, listener)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
