"""pytest plugin: one set of real engines per process, started before Django reads its settings.

Loaded by `-p tests.engines` (pyproject.toml). PostgreSQL and Valkey start at once, Kafka and
RabbitMQ with the first test that asks for them. An address given by the environment wins: that
engine is not started. Nor does a process that leaves all tests to others start any.
"""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from config.services.engine import Engine, EngineError
from config.services.kafka import Kafka
from config.services.postgres import Postgres
from config.services.rabbitmq import RabbitMQ
from config.services.valkey import Valkey
from tests.parallel import processes

# A test database may be lost with the machine, but not by SIGKILL: commits still reach the kernel.
FAST_POSTGRES = {"fsync": "off", "full_page_writes": "off"}
SHORT_SESSIONS = {
    # Consumers of tests may ask for a session time-out of 1 s; the default minimum is 6 s.
    "group.min.session.timeout.ms": "1000",
    # A broker started again after a SIGKILL waits until its former self counts as dead.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}

MAKERS: dict[str, Callable[[Path], Engine]] = {
    "postgres": partial(Postgres, settings=FAST_POSTGRES),
    "valkey": Valkey,
    "kafka": partial(Kafka, settings=SHORT_SESSIONS),
    "rabbitmq": RabbitMQ,
}
FOLDER = "stockroom-tests"
AT_ONCE = ("postgres", "valkey")

SETTINGS = {
    "SECRET_KEY": "test-only-key-of-no-worth-but-long-enough-for-the-checks",
    "DEBUG": "0",
    "SECURE": "0",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "DJANGO_SETTINGS_MODULE": "config.settings",
}


class Engines:
    """The process's engines by name, and the environment that leads to them."""

    def __init__(self) -> None:
        _remove_remains()
        self.var_dir = Path(tempfile.mkdtemp(prefix=f"{FOLDER}-{os.getpid()}-"))
        atexit.register(shutil.rmtree, self.var_dir, ignore_errors=True)
        self.by_name: dict[str, Engine] = {}
        self.asked_for = set(AT_ONCE)
        os.environ["STOCKROOM_VAR"] = str(self.var_dir)
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        for name in ("no_proxy", "NO_PROXY"):  # a proxy has another loopback
            os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost")))
        for name, make in MAKERS.items():
            engine = make(self.var_dir)
            missing = [key for key in engine.provides if not os.environ.get(key)]
            if not missing:
                engine.close()
                continue
            self.by_name[name] = engine
            os.environ.update({key: engine.variables()[key] for key in missing})

    def start_again(self) -> None:
        """What was asked for and is not there: left so by a test that failed in the middle."""
        for name in self.asked_for & set(self.by_name):
            engine = self.by_name[name]
            engine.start()
            if engine.pid is not None:
                os.kill(engine.pid, signal.SIGCONT)

    def stop(self) -> None:
        with ThreadPoolExecutor(len(MAKERS)) as pool:
            for stopped in [pool.submit(engine.close) for engine in self.by_name.values()]:
                stopped.result()
        shutil.rmtree(self.var_dir, ignore_errors=True)


def _remove_remains() -> None:
    """Delete the folders of runs that were killed: each is some 60 MB."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}-*-*"):
        owner = folder.name.split("-")[2]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


KEY = pytest.StashKey[Engines]()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Runs around pytest-django's hook of this name, which loads the settings."""
    options = early_config.known_args_namespace
    if processes(options):
        # Django needs addresses here too; those who run the tests shall make their own.
        environment = dict(os.environ)
        engines = Engines()
        try:
            return (yield)
        finally:
            engines.stop()
            os.environ.clear()
            os.environ.update(environment)
    engines = early_config.stash[KEY] = Engines()
    if not (options.help or options.version or options.collectonly):
        try:
            for name in AT_ONCE:
                if name in engines.by_name:
                    engines.by_name[name].start()
        except EngineError as error:
            engines.stop()
            raise pytest.UsageError(str(error)) from error
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that fails while it has taken an engine away does not fail those after it."""
    if KEY in item.config.stash:
        try:
            item.config.stash[KEY].start_again()
        except EngineError as error:
            pytest.fail(str(error), pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """After the last fixture's end. A process of several is killed soon after this."""
    _stop(session.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Where no session came about."""
    _stop(config)


def _stop(config: pytest.Config) -> None:
    if KEY in config.stash:
        config.stash[KEY].stop()


def _engine_of_run(config: pytest.Config, name: str) -> Engine:
    engine = config.stash[KEY].by_name.get(name)
    if engine is None:
        given = ", ".join(MAKERS[name](config.stash[KEY].var_dir).provides)
        pytest.fail(f"This test needs its own {name}, but the environment gives {given}")
    config.stash[KEY].asked_for.add(name)
    try:
        engine.start()
    except EngineError as error:
        pytest.fail(str(error), pytrace=False)
    return engine


@pytest.fixture(scope="session")
def postgres_engine(pytestconfig: pytest.Config) -> Engine:
    """The run's PostgreSQL. A test that kills it must start it again."""
    return _engine_of_run(pytestconfig, "postgres")


@pytest.fixture(scope="session")
def valkey_engine(pytestconfig: pytest.Config) -> Engine:
    """The run's Valkey. A test that kills it must start it again."""
    return _engine_of_run(pytestconfig, "valkey")


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Engine:
    """The run's Kafka, started on first use; fails, never skips, where it can't be had."""
    return _engine_of_run(pytestconfig, "kafka")


@pytest.fixture(scope="session")
def rabbitmq(pytestconfig: pytest.Config) -> Engine:
    """The run's RabbitMQ, started on first use; fails, never skips, where it can't be had."""
    return _engine_of_run(pytestconfig, "rabbitmq")


def _own(name: str, folder: Path) -> Iterator[Callable[[], Engine]]:
    made: list[Engine] = []

    def make() -> Engine:
        engine = MAKERS[name](folder / f"{name}{len(made)}")
        made.append(engine)
        engine.start()
        return engine

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def engine_folder() -> Iterator[Path]:
    """A folder for engines of one test, short and reachable for PostgreSQL's system user."""
    with tempfile.TemporaryDirectory(prefix="stockroom-own-") as folder:
        yield Path(folder)


@pytest.fixture
def own_postgres(engine_folder: Path) -> Iterator[Callable[[], Engine]]:
    """Starts a PostgreSQL of the test's own per call: `engine = own_postgres()`."""
    yield from _own("postgres", engine_folder)


@pytest.fixture
def own_valkey(engine_folder: Path) -> Iterator[Callable[[], Engine]]:
    """Starts a Valkey of the test's own per call: `engine = own_valkey()`."""
    yield from _own("valkey", engine_folder)


@pytest.fixture
def own_kafka(engine_folder: Path) -> Iterator[Callable[[], Engine]]:
    """Starts a Kafka of the test's own per call: `engine = own_kafka()`."""
    yield from _own("kafka", engine_folder)


@pytest.fixture
def own_rabbitmq(engine_folder: Path) -> Iterator[Callable[[], Engine]]:
    """Starts a RabbitMQ of the test's own per call: `engine = own_rabbitmq()`."""
    yield from _own("rabbitmq", engine_folder)
