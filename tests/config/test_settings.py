"""The environment is read strictly, and .env.example tells the truth about it."""

import ast
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "config/settings.py").read_text()
EXAMPLE = dict(re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.M))
REQUIRED = {
    "SECRET_KEY": "an-example-of-fifty-characters-or-more-0123456789-abcdefghij",
    "DATABASE_URL": "postgresql://ana:secret@127.0.0.1:1/stockroom",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}
SHOW = (
    "import json, config.settings as s;"
    "print(json.dumps({n: getattr(s, n) for n in dir(s) if n.isupper()}, default=str))"
)


def start(tmp_path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`command` of Python with nothing but these variables and the required ones."""
    environment = {"PATH": os.environ["PATH"], "STOCKROOM_VAR": str(tmp_path), **REQUIRED}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def shown(tmp_path, **variables: str) -> dict:
    done = start(tmp_path, "-c", SHOW, **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_by_settings() -> set[str]:
    """Names in every env.TYPE("NAME") and url("NAME") of settings.py."""
    return {
        call.args[0].value
        for call in ast.walk(ast.parse(SETTINGS))
        if isinstance(call, ast.Call)
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and re.match(r"(env\.(?!read_env)\w+|url)$", ast.unparse(call.func))
    }


def read_elsewhere() -> set[str]:
    """Names that other modules take from the environment themselves, the system's left out."""
    names = set()
    for file in (ROOT / "config").rglob("*.py"):
        pattern = r"environ(?:ment)?(?:\.get\(|\[)\s*\"([A-Z_]+)\"|_base\.get\(\"([A-Z_]+)\""
        names |= {one or other for one, other in re.findall(pattern, file.read_text())}
    return names - {"PATH", "HOME", "JAVA_HOME", "XDG_CACHE_HOME", "DJANGO_SETTINGS_MODULE"}


def test_every_variable_is_documented_and_no_other():
    assert len(read_by_settings()) > 30
    assert read_by_settings() | read_elsewhere() | {"CHROMIUM"} == set(EXAMPLE)


def test_every_variable_has_its_own_line_of_meaning():
    lines = (ROOT / ".env.example").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"#[A-Z_]+=", line):
            assert before.startswith("# "), f"{line} is not explained"


def test_the_documented_defaults_are_the_real_ones(tmp_path):
    names = read_by_settings() - {"STOCKROOM_VAR"}
    given = shown(tmp_path, **{name: EXAMPLE[name] for name in names if EXAMPLE[name]})
    real = shown(tmp_path)
    assert {name: given[name] for name in names} == {name: real[name] for name in names}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_THREADS", "abc"),
        ("WEB_THREADS", "0"),
        ("UPLOAD_THREADS", "-1"),
        ("DEBUG", "perhaps"),
        ("SECURE", "2"),
        ("LOG_LEVEL", "LOUD"),
        ("SECRET_KEY", "short"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("REDIS_URL", "localhost:6379"),
        ("AMQP_URL", "http://localhost"),
        ("UPLOAD_MAX_BYTES", "2 GB"),
        ("IMPORT_STEP_SECONDS", "soon"),
        ("CONSUMER_HEALTH_SECONDS", "0"),
        # Without these there is nothing to start with.
        ("SECRET_KEY", ""),
        ("DATABASE_URL", ""),
        ("REDIS_URL", ""),
    ],
)
def test_a_wrong_value_stops_the_start_with_the_variables_name(tmp_path, name, value):
    done = start(tmp_path, "-c", "import config.settings", **{name: value})
    assert done.returncode != 0
    last_line = done.stderr.strip().splitlines()[-1]
    assert f'"{name}"' in last_line and ".env.example" in last_line


def test_addresses_of_a_running_stack_are_read_from_its_folder(tmp_path):
    (tmp_path / "run.env").write_text("AMQP_URL='amqp://u:p@127.0.0.1:7/'\nLOG_LEVEL='WARNING'\n")
    settings = shown(tmp_path, LOG_LEVEL="DEBUG")
    assert settings["AMQP_URL"] == "amqp://u:p@127.0.0.1:7/"
    assert settings["LOG_LEVEL"] == "DEBUG"  # the environment wins


def test_the_production_checks_find_nothing(tmp_path):
    done = start(
        tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", SECURE="yes"
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
