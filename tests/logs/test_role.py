import shlex

import pytest

from config.logs.role import role
from config.services.processes import ROLES, roles


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/app/.venv/bin/gunicorn config.asgi:application --workers 2", "web"),
        ("/lib/gunicorn/__main__.py config.asgi:application", "web"),
        ("celery -A config.celery worker -Q default,imports", "worker"),
        ("celery -A config.celery worker -Q performance --pool prefork", "performance"),
        ("celery -A config.celery worker --pool solo --consumer sales", "sales"),
        ("celery -A config.celery worker --consumer=sales --consumer=prices", "sales+prices"),
        ("/lib/celery/__main__.py --quiet -A config.celery beat -l INFO", "beat"),
        ("celery -A config.celery inspect ping", "celery"),
        ("manage.py run_consumer sales", "sales"),
        ("./manage.py migrate --noinput", "migrate"),
        ("manage.py", "manage"),
        ("/lib/pytest/__main__.py -q", "pytest"),
        ("-c", "-c"),
    ],
)
def test_it_knows_a_process_by_its_command(command: str, expected: str) -> None:
    assert role(shlex.split(command)) == expected


@pytest.mark.parametrize("name", ROLES)
def test_it_knows_every_process_of_make_run(name: str, tmp_path) -> None:
    command = roles(tmp_path, {}, 3)[name].command
    module = command.index("-m", command.index("-m") if "-W" not in command else 0)
    program = f"/lib/{command[module + 1]}/__main__.py"
    assert role([program, *command[module + 2 :]]) == name
