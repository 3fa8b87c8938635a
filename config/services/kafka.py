"""Kafka from Maven Central as a single KRaft node, a foreground Java process."""

import base64
import fcntl
import logging
import os
import shutil
import socket
import struct
import tempfile
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path

from config.services.engine import Engine, EngineError
from config.services.install import JAVA, MAVEN
from config.services.ports import LOOPBACK, Port
from config.services.spawn import CommandError, run

logger = logging.getLogger(__name__)

# Not 4.3.0 to 4.4.0: a broker that comes back forgets the markers of a transaction whose partitions
# have no leader yet (KAFKA-20734), so what was committed is hidden or what was aborted is read.
KAFKA = "4.2.2"
SLF4J = "1.7.36"  # the version of the API that this Kafka brings
DEPENDENCY_PLUGIN = "3.8.1"
DOWNLOAD_SECONDS = 600.0
FORMAT_SECONDS = 60.0
METADATA_API, METADATA_VERSION = 3, 1

# One node keeps all copies, so every internal topic has one; few partitions start faster.
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "offsets.topic.num.partitions": "5",
    "offsets.topic.replication.factor": "1",
    # 30 days: a consumer that was stopped for longer than the 7 of Kafka's own knows its place.
    "offsets.retention.minutes": "43200",
    "transaction.state.log.num.partitions": "5",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "log.cleaner.dedupe.buffer.size": "16777216",
    # Nobody else will join a group of one machine: don't wait for them.
    "group.initial.rebalance.delay.ms": "0",
}

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stockroom</groupId><artifactId>kafka</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{kafka}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId>
      <version>{slf4j}</version>
    </dependency>
  </dependencies>
</project>
"""


class Kafka(Engine):
    """One broker that is its own controller. Plain text on loopback, no authentication."""

    name = "kafka"
    provides = ("KAFKA_BOOTSTRAP_SERVERS",)

    def __init__(self, var_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """`settings` are broker properties beside or instead of those in SETTINGS."""
        super().__init__(var_dir)
        self.settings = {**SETTINGS, **(settings or {})}
        self._port = Port()
        self._controller = Port()

    @property
    def port(self) -> int:
        """TCP port of the loopback interface."""
        return self._port.number

    def variables(self) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.port}"}

    def close(self) -> None:
        super().close()
        self._port.close()
        self._controller.close()

    @property
    def _properties(self) -> Path:
        return self.data_dir / "server.properties"

    def _prepare(self) -> None:
        jars = fetch(self._cancelled)
        topics = self.data_dir / "topics"
        temporary = self.data_dir / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        properties = {
            **self.settings,
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self.port},"
            f"CONTROLLER://{LOOPBACK}:{self._controller.number}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self.port}",
            # Fixed voters rather than voters in the log: the port is another one at the next run.
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller.number}",
            "log.dirs": str(topics),
        }
        self._properties.write_text(
            "".join(f"{key}={value}\n".replace("\\", "\\\\") for key, value in properties.items())
        )
        if not (topics / "meta.properties").exists():
            self._format(jars)

    def _format(self, jars: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._run(
            [
                *self._java(jars),
                *("kafka.tools.StorageTool", "format", "--config", str(self._properties)),
                f"--cluster-id={cluster}",  # an equals sign, since an id may begin with a hyphen
            ],
            FORMAT_SECONDS,
        )

    def _java(self, jars: Path) -> list[str]:
        return [
            java(),
            "-Xms128m",
            "-Xmx512m",
            # Faster to start and smaller than G1 on a small machine, and nothing left in /tmp.
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
            f"-Djava.io.tmpdir={self.data_dir / 'tmp'}",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
            "-cp",
            f"{jars}/*",
        ]

    def _command(self) -> list[str]:
        return [*self._java(fetch()), "kafka.Kafka", str(self._properties)]

    def _is_ready(self) -> bool:
        # The port answers before the broker has joined its own cluster; the broker is in the
        # list of brokers once it takes part.
        try:
            return _count_brokers(self.port) > 0
        except (OSError, struct.error):
            return False


def java() -> str:
    """Path of Java, that of JAVA_HOME first. Raises EngineError where it is missing."""
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        return str(Path(home) / "bin" / "java")
    return JAVA.require()


def cache_dir() -> Path:
    """Folder of Kafka's jars, shared by all clones of one user."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "stockroom" / f"kafka-{KAFKA}"


def fetch(cancelled: threading.Event | None = None) -> Path:
    """Return the folder of Kafka's jars, downloaded with Maven when they are not there yet.

    Raises EngineError when Maven is missing or the download fails, takes too long or is
    `cancelled`.
    """
    folder = cache_dir()
    if folder.exists():
        return folder
    maven = MAVEN.require()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # another clone has been here meanwhile
            return folder
        logger.info("downloading Kafka %s with Maven, once (46 MB)", KAFKA)
        for left in folder.parent.glob("download-*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="download-", dir=folder.parent) as temporary:
            jars = Path(temporary) / "jars"
            pom = Path(temporary) / "pom.xml"
            pom.write_text(POM.format(kafka=KAFKA, slf4j=SLF4J))
            plugin = f"org.apache.maven.plugins:maven-dependency-plugin:{DEPENDENCY_PLUGIN}"
            try:
                code, output, errors = run(
                    [
                        *(maven, "--batch-mode", "--strict-checksums", "--file", str(pom)),
                        *(f"{plugin}:copy-dependencies", "-DincludeScope=runtime"),
                        f"-DoutputDirectory={jars}",
                    ],
                    environment=os.environ,
                    directory=Path(temporary),
                    timeout_seconds=DOWNLOAD_SECONDS,
                    cancelled=cancelled,
                )
            except CommandError as error:
                raise EngineError(f"Kafka can't be downloaded: {error}") from error
            if code != 0:
                raise EngineError(
                    f"Maven can't download Kafka {KAFKA}:\n{(output + errors)[-3000:]}"
                )
            jars.rename(folder)
    return folder


def _count_brokers(port: int) -> int:
    """Number of brokers that the one on this port knows. Raises OSError, struct.error."""
    # Request header (api key, version, correlation id, no client id), then no topics.
    request = struct.pack(">hhihi", METADATA_API, METADATA_VERSION, 1, -1, 0)
    with socket.create_connection((LOOPBACK, port), timeout=2.0) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = b""
        while len(answer) < 12:
            part = connection.recv(4096)
            if not part:
                raise ConnectionError("closed while answering")
            answer += part
    # Size, correlation id, then the array of brokers, which begins with its length.
    brokers: int = struct.unpack_from(">i", answer, 8)[0]
    return brokers
