"""A private RabbitMQ node as a child process: no system service, nothing shared, nothing left behind.

Debian's package is started through the server's own script, not through the wrapper in /usr/sbin,
which changes the user and the folders. The node has its own ports, name, cookie, data folder and port
mapper (epmd), so it disturbs no other RabbitMQ of the machine and is not disturbed by one.
"""

import base64
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

from tests.support.child import end, leash, wait
from tests.support.ports import free_port

USER = "lapidicom"
PASSWORD = "lapidicom"  # guards a node on the loopback interface that lives as long as a test run
SERVER_SCRIPTS = (
    "/usr/lib/rabbitmq/bin/rabbitmq-server",  # Debian, Ubuntu
    "/opt/rabbitmq/sbin/rabbitmq-server",  # generic tarball
)
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class BrokerError(Exception):
    """The broker cannot be started; the text ends with the end of its log."""


def server_script() -> Path | None:
    """The script that starts a node, or None where RabbitMQ is not installed."""
    installed = (Path(name) for name in SERVER_SCRIPTS)
    return next((path for path in installed if path.exists() and shutil.which("epmd")), None)


class Broker:
    """One RabbitMQ node with a pool of virtual hosts; user and password are `lapidicom`.

    Args:
        vhosts: how many virtual hosts exist from the start; `fresh_vhost` hands them out.
        folder: where data and logs are kept, for a node that outlives this process. Without it a
            temporary folder is made, and removed by `destroy`.
        die_with_parent: whether the node ends when the thread that started it does.
    """

    def __init__(self, vhosts: int = 4, folder: Path | None = None, *, die_with_parent: bool = True) -> None:
        script = server_script()
        if script is None:
            raise BrokerError("RabbitMQ is not installed (Debian, Ubuntu: the package rabbitmq-server)")
        self._script = script
        self._folder = folder or Path(tempfile.mkdtemp(prefix="lapidicom-rabbitmq-"))
        self._die_with_parent = die_with_parent
        self._names = [f"test-{number:03}" for number in range(1, vhosts + 1)]
        self._unused: Iterator[str] = iter(self._names)
        self._numbers = itertools.count(vhosts + 1)
        self._node: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._node_name = (
            f"lapidicom-{os.getpid()}-{base64.b32encode(os.urandom(5)).decode().lower()}@localhost"
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.destroy()

    @property
    def pid(self) -> int:
        """Process id of the node, 0 when it does not run."""
        return self._node.pid if self._node else 0

    @property
    def pids(self) -> tuple[int, ...]:
        """All processes that must be ended to end this broker: the node and its port mapper."""
        return tuple(process.pid for process in (self._node, self._epmd) if process)

    @property
    def log(self) -> Path:
        """What the node printed."""
        return self._folder / "node.log"

    def url(self, vhost: str = "test-001", **parameters: str | int) -> str:
        """The AMQP URL of a virtual host; parameters such as heartbeat=2 become its query."""
        query = "&".join(f"{key}={value}" for key, value in parameters.items())
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{quote(vhost, safe='')}" + (
            f"?{query}" if query else ""
        )

    def fresh_vhost(self) -> str:
        """A virtual host that no test has used."""
        name = next(self._unused, None)
        if name is None:
            name = f"test-{next(self._numbers):03}"
            self.ctl("add_vhost", name)
            self.ctl("set_permissions", "-p", name, USER, ".*", ".*", ".*")
        return name

    def start(self) -> None:
        """Start the node, on the same ports as before if it ran before; return when it takes connections."""
        if self._node is not None:
            return
        if self.port:
            self._launch()
            return
        for attempts_left in (2, 1, 0):  # a port that was free may be taken meanwhile
            self.port, self._dist_port, self._epmd_port = free_port(), free_port(), free_port()
            self._write_configuration()
            try:
                self._launch()
            except BrokerError:
                if not attempts_left:
                    self.destroy()
                    raise
            else:
                return

    def stop(self) -> None:
        """End the node in order (SIGTERM)."""
        self._end(signal.SIGTERM, STOP_SECONDS)

    def kill(self) -> None:
        """End the node at once (SIGKILL): what it had not synced is lost.

        A quorum queue that was declared within the last second comes back empty and never confirms a
        publication: crash tests declare, then let a second pass (`settled`), then go on.
        """
        self._end(signal.SIGKILL, STOP_SECONDS)

    def settled(self) -> None:
        """Let a quiet second pass: queues that exist now then survive a kill."""
        quiet = time.monotonic() + 1.0
        wait(lambda: time.monotonic() > quiet, 2)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the node (SIGSTOP): connections stay open and answer nothing."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen node go on (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node; takes a second or two."""
        done = subprocess.run(
            [self._script.with_name("rabbitmqctl"), "--quiet", "--node", self._node_name, *arguments],
            env=self._environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise BrokerError(f"rabbitmqctl {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def destroy(self) -> None:
        """End everything and remove the folder."""
        self._end(signal.SIGKILL, STOP_SECONDS)
        end(self._epmd, signal.SIGKILL, STOP_SECONDS)
        self._epmd = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._node is None:
            raise BrokerError("the broker does not run")
        return self._node

    def _end(self, how: signal.Signals, seconds: float) -> None:
        end(self._node, how, seconds)
        self._node = None

    def _launch(self) -> None:
        self._start_epmd()
        with self.log.open("ab") as log:
            self._node = subprocess.Popen(
                # "allow input" makes the script exec the Erlang machine: our child is the node itself.
                [*self._leash(), str(self._script), "-noinput", "+B", "i"],
                env=self._environment() | {"RABBITMQ_ALLOW_INPUT": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )
        try:
            wait(self._accepts, START_SECONDS)
        except TimeoutError:
            self._end(signal.SIGKILL, STOP_SECONDS)
            raise BrokerError(f"RabbitMQ did not start:\n{self._log_end()}") from None

    def _start_epmd(self) -> None:
        if self._epmd and self._epmd.poll() is None:
            return
        self._epmd = subprocess.Popen(
            [*self._leash(), "epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port)],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        try:
            wait(lambda: _connects(self._epmd_port), 10)
        except TimeoutError:
            raise BrokerError("epmd did not start") from None

    def _accepts(self) -> bool:
        """Whether the node speaks AMQP: it does so only after its definitions are loaded."""
        node = self._running()
        if node.poll() is not None:
            raise BrokerError(f"RabbitMQ ended with {node.returncode}:\n{self._log_end()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"  # a method frame: connection.start
        except OSError:
            return False

    def _log_end(self) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-20:])

    def _leash(self) -> list[str]:
        return leash() if self._die_with_parent else []

    def _environment(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("RABBITMQ_")}
        folder = self._folder
        return inherited | {
            "HOME": str(folder),  # of the cookie
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node_name,
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_SCHEMA_DIR": str(folder / "schema"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_MNESIA_DIR": str(folder / "data" / "node"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(folder / "data" / "feature_flags"),
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(folder / "node.pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _write_configuration(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        definitions = self._folder / "definitions.json"
        rights = {"user": USER, "configure": ".*", "write": ".*", "read": ".*"}
        definitions.write_text(
            json.dumps(
                {
                    "users": [{"name": USER, "password_hash": _hash(PASSWORD), "tags": "administrator"}],
                    "vhosts": [{"name": name} for name in self._names],
                    "permissions": [{"vhost": name, **rights} for name in self._names],
                }
            )
        )
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"load_definitions = {definitions}\n"
            "disk_free_limit.absolute = 1MB\n"
            "log.console = true\n"
            "log.console.level = warning\n"
        )
        (self._folder / "enabled_plugins").write_text("[].\n")
        (self._folder / "rabbitmq-env.conf").write_text("")
        (self._folder / "conf.d").mkdir(exist_ok=True)


def _hash(password: str) -> str:
    """RabbitMQ's salted SHA-256."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _connects(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
