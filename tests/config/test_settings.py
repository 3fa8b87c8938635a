"""The environment is read strictly, and .env.example tells the truth about it."""

import ast
import itertools
import json
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = "".join(
    (ROOT / "config" / name).read_text() for name in ("environment.py", "variables.py")
)
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


# Starts with each of the given variables alone in turn, and prints what those say that stop it.
TRY_EACH = """
import json, os, runpy, sys
from django.core.exceptions import ImproperlyConfigured
tries, answers, usual = json.load(sys.stdin), [], dict(os.environ)
for variables in tries:
    os.environ.clear()
    os.environ.update({**usual, **variables})
    try:
        sys.modules.pop("config.environment", None)
        runpy.run_path("config/variables.py")
        answers.append(None)
    except ImproperlyConfigured as error:
        answers.append(str(error))
print(json.dumps(answers))
"""


def start(
    tmp_path, *command: str, text: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """`command` of Python with nothing but these variables and the required ones."""
    environment = {"PATH": os.environ["PATH"], "STOCKROOM_VAR": str(tmp_path), **REQUIRED}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**environment, **variables},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def shown(tmp_path, **variables: str) -> dict:
    done = start(tmp_path, "-c", SHOW, **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def answers(tmp_path, tries: list[dict[str, str]]) -> list[str | None]:
    """For each of `tries`, variables of one start: what stopped it, None when nothing did."""
    done = start(tmp_path, "-c", TRY_EACH, text=json.dumps(tries))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_by_settings() -> dict[str, str]:
    """Name to reader (`env.int`, `url`) for every env.TYPE("NAME"), url("NAME") and the like."""
    return {
        call.args[0].value: ast.unparse(call.func)
        for call in ast.walk(ast.parse(SETTINGS))
        if isinstance(call, ast.Call)
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and re.match(r"(env\.(?!read_env)\w+|url|networks)$", ast.unparse(call.func))
    }


def read_elsewhere() -> set[str]:
    """Names that other modules take from the environment themselves, the system's left out."""
    names = set()
    for file in (ROOT / "config").rglob("*.py"):
        pattern = r"environ(?:ment)?(?:\.get\(|\[)\s*\"([A-Z_]+)\"|_whole_number\(\"([A-Z_]+)\""
        names |= {one or other for one, other in re.findall(pattern, file.read_text())}
    return names - {"PATH", "HOME", "JAVA_HOME", "XDG_CACHE_HOME", "DJANGO_SETTINGS_MODULE"}


def test_every_variable_is_documented_and_no_other():
    assert len(read_by_settings()) > 30
    assert read_by_settings().keys() | read_elsewhere() | {"CHROMIUM"} == set(EXAMPLE)


def test_every_variable_has_its_own_line_of_meaning():
    lines = (ROOT / ".env.example").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"#[A-Z_]+=", line):
            assert before.startswith("# "), f"{line} is not explained"


def test_the_documented_defaults_are_the_real_ones(tmp_path):
    names = read_by_settings().keys() - {"STOCKROOM_VAR"}
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
        ("TIME_ZONE", "Mars/Olympus"),
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


def documented_ranges() -> dict[str, tuple[str, str]]:
    """Lowest and highest value of every number that is read, from .env.example."""
    ranges = {}
    for name, reader in read_by_settings().items():
        if reader in ("env.int", "env.float"):
            line = re.search(rf"^# (.*)\n#{name}=", (ROOT / ".env.example").read_text(), re.M)
            found = line and re.search(r"\b([\d.]+) to ([\d.]+)\b", line.group(1))
            assert found, f"{name} has no documented range"
            ranges[name] = (found.group(1), found.group(2))
    return ranges


# What the lowest or highest value of a variable needs of another one.
BESIDE = {
    "IMPORT_PART_BYTES": {"UPLOAD_BLOCK_BYTES": "1024"},  # a part is at least a block
    "VERIFIER_MIN_SECONDS": {"VERIFIER_MAX_SECONDS": "86400"},
    "VERIFIER_MAX_SECONDS": {"VERIFIER_MIN_SECONDS": "0"},
}


def test_every_number_is_taken_within_its_documented_range_only(tmp_path):
    readers, expected = read_by_settings(), []
    for name, (lowest, highest) in documented_ranges().items():
        usual = BESIDE.get(name, {})
        number, step = (int, 1) if readers[name] == "env.int" else (float, 0.001)
        wrong = [str(number(lowest) - step), str(number(highest) + step), "-1", "1e12", "nan"]
        wrong += ["inf", "-inf", "9" * 400, "", "ten"]
        expected += [({**usual, name: value}, None) for value in (lowest, highest)]
        expected += [({**usual, name: value}, name) for value in wrong]
    assert len(expected) > 200
    for (tried, stopped), answer in zip(
        expected, answers(tmp_path, [tried for tried, _ in expected]), strict=True
    ):
        if stopped is None:
            assert answer is None, f"{tried}: {answer}"
        else:
            assert answer is not None and f'"{stopped}"' in answer, f"{tried}: {answer}"


def test_a_part_is_never_smaller_than_a_block(tmp_path):
    block = {"UPLOAD_BLOCK_BYTES": str(8 * 1024**2)}
    assert shown(tmp_path, **block)["IMPORT_PART_BYTES"] == 8 * 1024**2
    (answer,) = answers(tmp_path, [{**block, "IMPORT_PART_BYTES": str(4 * 1024**2)}])
    assert answer is not None and '"IMPORT_PART_BYTES"' in answer


def test_the_longest_verification_is_no_shorter_than_the_shortest(tmp_path):
    same = {"VERIFIER_MIN_SECONDS": "2.5", "VERIFIER_MAX_SECONDS": "2.5"}
    shorter = {"VERIFIER_MIN_SECONDS": "2.5", "VERIFIER_MAX_SECONDS": "2.4"}
    taken, stopped = answers(tmp_path, [same, shorter])
    assert taken is None
    assert stopped is not None and '"VERIFIER_MAX_SECONDS"' in stopped


HEROKU = {"KAFKA_URL": "kafka+ssl://a.example:9096,kafka+ssl://b.example:9096"}


def test_herokus_kafka_is_understood(tmp_path):
    given = shown(tmp_path, **HEROKU, KAFKA_PREFIX="columbia-68.", SALES_GROUP="mine")
    assert given["KAFKA_BOOTSTRAP_SERVERS"] == ["a.example:9096", "b.example:9096"]
    assert given["KAFKA_SECURITY_PROTOCOL"] == "SSL"
    assert (given["SALES_INPUT_TOPIC"], given["SALES_GROUP"]) == (
        "columbia-68.data",
        "columbia-68.mine",
    )


def test_herokus_kafka_yields_to_another(tmp_path):
    given = shown(tmp_path, **HEROKU, KAFKA_BOOTSTRAP_SERVERS="own:9092")
    assert given["KAFKA_BOOTSTRAP_SERVERS"] == ["own:9092"]
    assert given["KAFKA_SECURITY_PROTOCOL"] == "PLAINTEXT"


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("KAFKA_SASL_USERNAME", {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}),
        ("KAFKA_SECURITY_PROTOCOL", {"KAFKA_SECURITY_PROTOCOL": "TLS"}),
        ("KAFKA_SASL_MECHANISM", {"KAFKA_SASL_MECHANISM": "GSSAPI"}),
        ("KAFKA_URL", {"KAFKA_URL": "a.example:9096"}),
        ("KAFKA_PREFIX", {"KAFKA_PREFIX": "with blank"}),
        ("SALES_INPUT_TOPIC", {"SALES_INPUT_TOPIC": "two words"}),
        ("SALES_INSTANCE", {"SALES_INSTANCE": "a/b"}),
    ],
)
def test_what_kafka_could_not_use_stops_the_start(tmp_path, name, variables):
    (answer,) = answers(tmp_path, [variables])
    assert answer is not None and f'"{name}"' in answer


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "Europe", "Europe/Berlin ", "/etc/localtime", "../UTC", "zone.tab", ""]
)
def test_an_unknown_time_zone_is_refused(tmp_path, zone):
    (answer,) = answers(tmp_path, [{"TIME_ZONE": zone}])
    assert answer is not None and '"TIME_ZONE"' in answer and repr(zone) in answer


def test_a_known_time_zone_is_taken(tmp_path):
    assert shown(tmp_path, TIME_ZONE="Europe/Berlin")["TIME_ZONE"] == "Europe/Berlin"


@pytest.mark.parametrize(("given", "folder"), [("", "var"), ("state", "state"), ("/x/y", "/x/y")])
def test_the_state_folder_is_relative_to_the_project(tmp_path, given, folder):
    assert shown(tmp_path, STOCKROOM_VAR=given)["STATE_DIR"] == str(ROOT / folder)


# What a Redis URL says of certificates -> whether each client checks the server's, and its name.
CERTIFICATES = [
    ("rediss://:p@127.0.0.1:1/0", (ssl.CERT_REQUIRED, True)),
    ("rediss://:p@127.0.0.1:1/0?ssl_cert_reqs=required", (ssl.CERT_REQUIRED, True)),
    ("rediss://:p@127.0.0.1:1/0?ssl_cert_reqs=none", (ssl.CERT_NONE, False)),
    ("rediss://:p@127.0.0.1:1/0?ssl_check_hostname=false", (ssl.CERT_REQUIRED, False)),
    ("redis://:p@127.0.0.1:1/0", None),
]
SHOW_CLIENTS = """
import json, types
import django
django.setup()
import kombu.transport.redis
import redis
import redis.asyncio
from django.conf import settings
from django.core.cache import cache
from config.celery import app

broker = object.__new__(kombu.transport.redis.Channel)
broker.connection = types.SimpleNamespace(client=app.connection_for_write())
made = {
    "broker": redis.ConnectionPool(**broker._connparams()),
    "cache": cache._cache.get_client().connection_pool,
    "live": redis.Redis(**settings.EVENTSTREAM_REDIS).connection_pool,
    "live listener": redis.asyncio.Redis(**settings.EVENTSTREAM_REDIS).connection_pool,
}

def certificates(pool):
    connection = pool.connection_class(**pool.connection_kwargs)
    if not hasattr(connection, "cert_reqs") and not hasattr(connection, "ssl_context"):
        return None
    checks = getattr(connection, "ssl_context", connection)
    return int(checks.cert_reqs), checks.check_hostname

print(json.dumps({name: certificates(pool) for name, pool in made.items()}))
"""


@pytest.mark.parametrize(("url", "expected"), CERTIFICATES)
def test_all_clients_of_redis_treat_its_certificate_alike(tmp_path, url, expected):
    done = start(
        *(tmp_path, "-c", SHOW_CLIENTS), REDIS_URL=url, DJANGO_SETTINGS_MODULE="config.settings"
    )
    assert done.returncode == 0, done.stderr
    assert "insecure" not in done.stderr
    wanted = None if expected is None else list(expected)
    assert json.loads(done.stdout) == dict.fromkeys(
        ["broker", "cache", "live", "live listener"], wanted
    )


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
