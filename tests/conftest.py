"""Fixtures of all tests: a broker, a fresh virtual host for each test, and one that may be stopped."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from lapidicom.common.progress import DEFAULT_SPACE
from tests.support import requirements
from tests.support.cube.process import CubeProcess
from tests.support.existing_broker import remove_our_queues
from tests.support.rabbitmq import MISSING, Broker, available, open_broker
from tests.support.seeds import examples, is_large
from tests.support.whole_path import WholePath

# `make test` tries the same examples each time, so that a change is to blame for what fails; the large size
# tries new ones, and prints how to try one again.
settings.register_profile("small", derandomize=True, deadline=None, max_examples=examples(100))
settings.register_profile("large", print_blob=True, deadline=None, max_examples=examples(100))
settings.load_profile("large" if is_large() else "small")

pytest_plugins = ["tests.support.fault_recorder"]

# Each service that a test starts would compile all its modules anew: most of the time of a start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(__file__).parents[1] / ".cache" / "pycache"))

# Started in the background: what tests start shall take Ctrl-C all the same.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

VHOSTS_OF_THE_RUN = 40
VHOSTS_OF_A_FAULTY_BROKER = 10


def _start(vhosts: int) -> Broker:
    if not available():
        requirements.missing(MISSING)
    broker = open_broker(vhosts)
    broker.start()
    print(f"RabbitMQ {broker.version()}")  # for the report on faults
    return broker


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A running RabbitMQ for the whole run. Never stop, kill or pause it: that is `own_broker`."""
    node = _start(VHOSTS_OF_THE_RUN)
    yield node
    node.destroy()


@pytest.fixture
def amqp_url(request: pytest.FixtureRequest) -> str:
    """The URL of a virtual host without queues: of AMQP_URL if that is set, else of our own broker."""
    return _fresh_vhost(request)


@pytest.fixture(scope="module")
def amqp_url_of_module(request: pytest.FixtureRequest) -> str:
    """The same for a run that several tests look at; it must have ended before the first of them begins."""
    return _fresh_vhost(request)


def _fresh_vhost(request: pytest.FixtureRequest) -> str:
    existing = os.environ.get("AMQP_URL")
    if existing:
        remove_our_queues(existing)
        return existing
    node: Broker = request.getfixturevalue("broker")
    return node.url(node.fresh_vhost())


@pytest.fixture(scope="module")
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholePath]:
    """The whole path of a module, with a CUBE and a registrar; its tests start receivers as they need them.

    Each test uses AE titles of its own; what earlier receivers have left on the volume is part of it.
    """
    folder = tmp_path_factory.mktemp("path")
    with WholePath(folder, _fresh_vhost(request), space=DEFAULT_SPACE) as whole:
        whole.registrar()
        yield whole
        assert set(whole.cube.control.counts().values()) <= {1}


@pytest.fixture(scope="session")
def _faulty_broker() -> Iterator[Broker]:
    node = _start(VHOSTS_OF_A_FAULTY_BROKER)
    yield node
    node.destroy()


@pytest.fixture
def own_broker(_faulty_broker: Broker) -> Iterator[Broker]:
    """A running RabbitMQ that the test may stop, kill and pause; use `own_broker.fresh_vhost()`."""
    _faulty_broker.start()
    yield _faulty_broker
    _faulty_broker.resume()


@pytest.fixture
def dcmtk() -> Callable[[str], Path]:
    """Finds a program of dcmtk: `dcmtk("storescu")`."""
    return lambda name: requirements.tool(name, "dcmtk")


@pytest.fixture
def files_root(tmp_path: Path) -> Path:
    """CUBE's storage root for one test."""
    root = tmp_path / "files root"
    root.mkdir()
    return root


@pytest.fixture
def cube(files_root: Path) -> Iterator[CubeProcess]:
    """A running stand-in CUBE over `files_root`; `cube.control` tells it what to do."""
    with CubeProcess(files_root) as process:
        yield process
