"""Kafka's own tools as the docs name them, at the run's Kafka."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from config.services import kafka as engine
from config.services.engine import Engine
from config.services.install import MAVEN
from streaming.kafka_log import topics
from tests.docs import texts

# What the scripts of these names start.
CLASSES = {
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
}
# Of the newest release before engine.KAFKA that is in Maven's repository; all else is engine.KAFKA.
TOOLS = "4.2.1"
SECONDS = 300


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The jar of Kafka's tools, which no broker needs."""
    if MAVEN.find() is None:
        pytest.skip("Kafka is here, but not Maven, which gets its tools")
    folder = tmp_path_factory.mktemp("tools")
    subprocess.run(
        [
            *(MAVEN.require(), "--batch-mode", "--strict-checksums"),
            f"org.apache.maven.plugins:maven-dependency-plugin:{engine.DEPENDENCY_PLUGIN}:copy",
            f"-Dartifact=org.apache.kafka:kafka-tools:{TOOLS}",
            f"-DoutputDirectory={folder}",
        ],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=SECONDS,
    )
    return folder


COMMANDS = [
    command.text
    for block in texts.shell_blocks()
    for command in texts.commands(block)
    if command.text.startswith("kafka-")
]


def run(name: str, kafka: Engine, tools: Path) -> str:
    """Run the one command of the docs that begins with `name`, and return what it prints."""
    (command,) = (each for each in COMMANDS if each.startswith(name))
    address = kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"]
    written = command.replace("$KAFKA_BOOTSTRAP_SERVERS", address).replace("\\\n", "")
    done = subprocess.run(
        [
            *(engine.java(), "-Xmx256m", "-XX:+UseSerialGC"),
            *("-cp", f"{engine.fetch()}/*:{tools}/*", CLASSES[name], *shlex.split(written)[1:]),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def admin(kafka: Engine) -> Iterator[KafkaAdminClient]:
    """With the topics that the commands name, for this test alone."""
    client = KafkaAdminClient(bootstrap_servers=kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"])
    topics = {"data": 4, "data.dlq": 1}
    try:
        assert not topics.keys() & set(client.list_topics())
        client.create_topics([NewTopic(name, number, 1) for name, number in topics.items()])
        yield client
        client.delete_topics(list(topics))
    finally:
        client.close()


def test_each_is_run_here() -> None:
    assert sorted(each.split()[0] for each in COMMANDS) == sorted(CLASSES)


def test_dead_letters_are_kept_longer(kafka: Engine, tools: Path, admin: KafkaAdminClient) -> None:
    run("kafka-configs.sh", kafka, tools)
    assert topics._settings(admin, "data.dlq")["retention.ms"] == str(30 * 24 * 3600 * 1000)


def test_a_group_gets_another_position(kafka: Engine, tools: Path, admin: KafkaAdminClient) -> None:
    address = kafka.variables()["KAFKA_BOOTSTRAP_SERVERS"]
    producer = KafkaProducer(bootstrap_servers=address)
    for _ in range(1300):
        producer.send("data", b"a sale", partition=3)
    producer.close()
    run("kafka-consumer-groups.sh", kafka, tools)
    found = admin.list_group_offsets("sales")["sales"]
    assert found[TopicPartition("data", 3)].offset == 1234
    admin.delete_groups(["sales"])
