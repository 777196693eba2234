"""A private RabbitMQ node as a child process: no system service, nothing shared, nothing left behind.

Debian's package is started through the server's own script, not through the wrapper in /usr/sbin,
which changes the user and the folders. The node has its own ports, name, cookie, data folder and port
mapper (epmd), so it disturbs no other RabbitMQ of the machine and is not disturbed by one.
"""

import base64
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.broker import PASSWORD, START_SECONDS, STOP_SECONDS, USER, Broker, BrokerError
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.process_groups import end, leash, wait

SERVER_SCRIPTS = (
    "/usr/lib/rabbitmq/bin/rabbitmq-server",  # Debian, Ubuntu
    "/opt/rabbitmq/sbin/rabbitmq-server",  # generic tarball
)


MANAGEMENT = """\
management.tcp.ip = 127.0.0.1
management.tcp.port = {}
collect_statistics_interval = 1000
"""
"""Configuration of the management API; statistics are a second old, not five."""


def server_script() -> Path | None:
    """The script that starts a node, or None where RabbitMQ is not installed."""
    installed = (Path(name) for name in SERVER_SCRIPTS)
    return next((path for path in installed if path.exists() and shutil.which("epmd")), None)


def _all_threads_stopped(pid: int) -> bool:
    states = [
        stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
        for stat in Path(f"/proc/{pid}/task").glob("*/stat")
    ]
    return bool(states) and set(states) == {"T"}


class LocalBroker(Broker):
    """The installed package, run as a child process.

    Args:
        vhosts: how many virtual hosts exist from the start; `fresh_vhost` hands them out.
        folder: where data and logs are kept, for a node that outlives this process. Without it a
            temporary folder is made, and removed by `destroy`.
        die_with_parent: whether the node ends when the thread that started it does.
        management: whether it has the management API; its start takes longer then.
    """

    def __init__(
        self,
        vhosts: int = 4,
        folder: Path | None = None,
        *,
        die_with_parent: bool = True,
        management: bool = False,
    ) -> None:
        super().__init__(vhosts)
        self._management = management
        self._management_port = 0
        script = server_script()
        if script is None:
            raise BrokerError("RabbitMQ is not installed (Debian, Ubuntu: the package rabbitmq-server)")
        self._script = script
        self._folder = folder or Path(tempfile.mkdtemp(prefix="lapidicom-rabbitmq-"))
        self._die_with_parent = die_with_parent
        self._node: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node_name = (
            f"lapidicom-{os.getpid()}-{base64.b32encode(os.urandom(5)).decode().lower()}@localhost"
        )

    @property
    def pid(self) -> int:
        """Process id of the node, 0 when it does not run."""
        return self._node.pid if self._node else 0

    @property
    def pids(self) -> tuple[int, ...]:
        """All processes that must be ended to end this broker: the node and its port mapper."""
        return tuple(process.pid for process in (self._node, self._epmd) if process)

    @property
    def management_url(self) -> str:
        """Where the management API is, with credentials of an administrator."""
        return f"http://{USER}:{PASSWORD}@127.0.0.1:{self._management_port}"

    @property
    def log(self) -> Path:
        """What the node printed."""
        return self._folder / "node.log"

    def start(self) -> None:
        """Start the node, on the same ports as before if it ran before; return when it takes connections."""
        if self._node is not None:
            return
        if self.port:
            self._launch()
            return
        for attempts_left in (2, 1, 0):  # a port that was free may be taken meanwhile
            self.port, self._dist_port, self._epmd_port = free_port(), free_port(), free_port()
            self._management_port = free_port() if self._management else 0
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
        """End the node at once (SIGKILL)."""
        self._end(signal.SIGKILL, STOP_SECONDS)

    def pause(self) -> None:
        """Freeze the node (SIGSTOP): connections stay open and answer nothing."""
        node = self._running()
        node.send_signal(signal.SIGSTOP)
        # The signal is sent at once, but on a busy machine a thread may still confirm what comes meanwhile.
        eventually(lambda: _all_threads_stopped(node.pid), 10, what="the node stands still")

    def resume(self) -> None:
        """Let a frozen node go on (SIGCONT)."""
        if self._node is not None:
            self._node.send_signal(signal.SIGCONT)

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

    @property
    def stop_commands(self) -> Sequence[str]:
        """Shell commands that end it; its folder is its owner's."""
        return [f"kill -9 {' '.join(map(str, self.pids))} 2>/dev/null"]

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
        node = self._running()
        if node.poll() is not None:
            raise BrokerError(f"RabbitMQ ended with {node.returncode}:\n{self._log_end()}")
        return self.speaks_amqp() and (not self._management or _connects(self._management_port))

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
            "ERL_FLAGS": "-start_epmd false",  # a node that is being killed must leave no port mapper behind
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
        definitions.write_text(self.definitions())
        plugins = "rabbitmq_management" if self._management else ""
        (self._folder / "enabled_plugins").write_text(f"[{plugins}].\n")
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"load_definitions = {definitions}\n"
            "disk_free_limit.absolute = 1MB\n"
            "log.console = true\n"
            "log.console.level = warning\n" + (MANAGEMENT.format(self._management_port) if plugins else "")
        )
        (self._folder / "rabbitmq-env.conf").write_text("")
        (self._folder / "conf.d").mkdir(exist_ok=True)


def _connects(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
