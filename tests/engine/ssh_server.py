"""An SSH server on loopback that runs commands with sh: the real protocol, keys and streams, without sshd or root."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
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
    """Whose session it is, for each session."""
    dials: list[float] = field(default_factory=list)
    """When each connection came."""
    resets: int = 0
    """How many connections more are ended before a banner, as a half-broken sshd does."""
    refuses: bool = False
    """Whether no key of any client is good enough."""
    password: str | None = None
    """What a login without a key needs, told at once or when asked."""
    asks: bool = False
    """Whether it asks for the password instead of taking it."""
    accept_env: set[str] = field(default_factory=set)
    """As sshd's AcceptEnv."""
    shown: Callable[[], list[paramiko.PKey]] | None = None
    """The host keys that a session is shown, where that is not the one."""
    transports: list["_Transport"] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

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
                self.dials.append(time.monotonic())
                if self.resets:
                    self.resets -= 1
                    peer.close()
                    continue
                threading.Thread(target=self._session, args=(peer,), daemon=True).start()

    def drop(self) -> None:
        """End every connection without a word, as when a machine goes down."""
        for transport in self.transports:
            transport.close()

    def end(self) -> None:
        self.drop()
        for process in self.processes:
            process.kill()

    def _session(self, peer: socket.socket) -> None:
        transport = _Transport(peer)
        for key in self.shown() if self.shown else [self.host_key]:
            transport.add_server_key(key)
        self.transports.append(transport)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):  # the client did not like the host key
            transport.start_server(server=_Policy(self, transport))


class _Transport(paramiko.Transport):
    """Begins a command when the client has been told that it will be run, as sshd does.

    One that began before could have ended, and closed its channel, before that answer was sent: the client's EOF.
    """

    def __init__(self, peer: socket.socket) -> None:
        super().__init__(peer)
        self.granted: list[threading.Thread] = []

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)
        if threading.current_thread() is self:  # which answers a request before it reads anything else
            while self.granted:
                self.granted.pop().start()


class _Policy(paramiko.ServerInterface):
    def __init__(self, server: SshServer, transport: _Transport) -> None:
        self._server = server
        self._transport = transport
        self._username = ""
        self._environment: dict[str, str] = {}

    def get_allowed_auths(self, _username: str) -> str:
        if self._server.password is None:
            return "publickey"
        return "keyboard-interactive" if self._server.asks else "password"

    def check_auth_password(self, username: str, password: str) -> int:
        self._username = username
        return paramiko.AUTH_SUCCESSFUL if password == self._server.password else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username: str, _submethods: str) -> paramiko.InteractiveQuery:
        self._username = username
        return paramiko.InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return paramiko.AUTH_SUCCESSFUL if responses == [self._server.password] else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, _key: paramiko.PKey) -> int:
        self._username = username  # asked twice: whether this key would do, then with its signature
        return paramiko.AUTH_FAILED if self._server.refuses else paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, _kind: str, _chanid: int) -> int:
        self._server.logins.append(self._username)
        return paramiko.OPEN_SUCCEEDED

    def check_channel_env_request(self, _channel: paramiko.Channel, name: bytes, value: bytes) -> bool:
        accepted = name.decode() in self._server.accept_env
        if accepted:
            self._environment[name.decode()] = value.decode()
        return accepted

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        arguments = (self._server, channel, command.decode(), self._environment)
        self._transport.granted.append(threading.Thread(target=_run, args=arguments, daemon=True))
        return True


def _run(server: SshServer, channel: paramiko.Channel, command: str, environment: dict[str, str]) -> None:
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    variables = {"PATH": os.environ["PATH"], **environment}
    with subprocess.Popen(["sh", "-c", command], env=variables, **streams) as process:  # type: ignore[call-overload]
        server.processes.append(process)
        pumps = [
            threading.Thread(target=_pump, args=(process.stdout, channel.sendall)),
            threading.Thread(target=_pump, args=(process.stderr, channel.sendall_stderr)),
        ]
        for pump in pumps:
            pump.start()
        threading.Thread(target=_feed, args=(channel, process), daemon=True).start()
        for pump in pumps:
            pump.join()
        status = process.wait()
    if status >= 0:
        channel.send_exit_status(status)
    else:
        _send_exit_signal(channel, signal.Signals(-status).name.removeprefix("SIG"))
    channel.close()


def _feed(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
    """Standard input for as long as somebody reads it: what a command leaves unread is left in the channel."""
    assert process.stdin
    with contextlib.suppress(OSError, ValueError), process.stdin:
        while data := channel.recv(65536):
            process.stdin.write(data)
            process.stdin.flush()


def _send_exit_signal(channel: paramiko.Channel, name: str) -> None:
    message = paramiko.Message()
    message.add_byte(bytes([98]))  # SSH_MSG_CHANNEL_REQUEST
    message.add_int(channel.remote_chanid)
    message.add_string("exit-signal")
    message.add_boolean(False)
    message.add_string(name)
    message.add_boolean(False)
    message.add_string("")
    message.add_string("")
    channel.get_transport()._send_user_message(message)


def _pump(source, send) -> None:  # noqa: ANN001
    with contextlib.suppress(OSError):  # the connection is gone
        while data := source.read1(65536):
            send(data)


def new_key(folder: Path, name: str) -> Path:
    """The private half of a new ed25519 key; the public one lies beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    return folder / name


@contextlib.contextmanager
def ssh_server(host_key: paramiko.PKey, client_key: str, port: int = 0) -> Iterator[SshServer]:
    """A server on a port of 127.0.0.1 (0: any that is free), gone at the end with all it has started."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = SshServer(host_key, client_key, listener)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            server.end()
