"""RabbitMQ's own tool as the docs name it, at the run's RabbitMQ."""

import json

import pytest

from config.services.engine import Engine
from tests.docs import texts
from tests.transactions.ledger.faults import control

COMMANDS = {each.text for each in texts.names() if each.text.startswith("rabbitmqctl ")}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_it_does_what_it_should(command: str, rabbitmq: Engine) -> None:
    said = control(rabbitmq, *command.split()[1:])
    written = rabbitmq.data_dir / command.split()[-1]
    if written.suffix == ".json":
        assert json.loads(written.read_text())["vhosts"]
    else:
        assert "consumers" in said
