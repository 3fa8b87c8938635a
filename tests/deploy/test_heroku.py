"""app.json as Heroku documents it, and .profile, which every dyno sources."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.procfile import lines
from tests.docs import texts

ROOT = Path(__file__).resolve().parents[2]
# https://devcenter.heroku.com/articles/app-json-schema, 2024-12-03
KNOWN = {
    *("name", "description", "keywords", "website", "repository", "logo", "success_url"),
    *("scripts", "env", "formation", "image", "addons", "buildpacks", "environments", "stack"),
}
SHOWN = ("REDIS_URL", "AMQP_URL")


@pytest.fixture(scope="module")
def app() -> dict:
    return json.loads((ROOT / "app.json").read_text())


def test_it_has_what_heroku_knows_only(app):
    assert set(app) <= KNOWN
    for variable in app["env"].values():
        assert set(variable) <= {"description", "generator", "value", "required"}
    assert app["env"]["SECRET_KEY"]["generator"] == "secret"
    assert "value" not in app["env"]["SECRET_KEY"]


def test_its_formation_is_of_the_procfile(app):
    assert set(app["formation"]) <= set(lines())
    assert {name for name, each in app["formation"].items() if each["quantity"]} == {
        "web",
        "worker",
    }


def test_its_variables_are_documented(app):
    documented = (ROOT / ".env.example").read_text()
    for name in app["env"]:
        assert f"#{name}=" in documented


def test_the_commands_of_the_docs_order_the_same(app):
    (block,) = [block for block in texts.shell_blocks() if "heroku create" in block.text]
    assert f"--stack {app['stack']}" in block.text
    plans = re.findall(r"^heroku addons:create (\S+)", block.text, re.M)
    assert plans == [each["plan"] for each in app["addons"]]
    before, _, after = block.text.partition("git push")
    assert all(word not in after for word in ("addons:create", "config:set"))
    given = dict(re.findall(r" ([A-Z_]+)=(\S+)", before))
    assert given.pop("SECRET_KEY").startswith('"$(head')
    assert given == {name: each["value"] for name, each in app["env"].items() if "value" in each}
    (scaled,) = re.findall(r"heroku ps:scale (.+)", after)
    wanted = [
        f"{name}={each['quantity']}:{each['size']}" for name, each in app["formation"].items()
    ]
    assert scaled.split() == wanted


def test_its_add_ons_bring_what_is_required(app):
    plans = {each["plan"].partition(":")[0] for each in app["addons"]}
    assert {"heroku-postgresql", "heroku-redis", "cloudamqp"} == plans


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"DYNO": "web.1", "REDIS_URL": "rediss://h:1"}, ["rediss://h:1?ssl_cert_reqs=none", ""]),
        ({"DYNO": "web.1", "REDIS_URL": "rediss://h:1?a=b"}, ["rediss://h:1?a=b", ""]),
        ({"DYNO": "web.1", "REDIS_URL": "redis://h:1"}, ["redis://h:1", ""]),
        ({"DYNO": "run.1", "CLOUDAMQP_URL": "amqps://c"}, ["", "amqps://c"]),
        ({"DYNO": "run.1", "CLOUDAMQP_URL": "amqps://c", "AMQP_URL": "amqp://o"}, ["", "amqp://o"]),
        ({"REDIS_URL": "rediss://h:1", "CLOUDAMQP_URL": "amqps://c"}, ["rediss://h:1", ""]),
    ],
)
def test_what_add_ons_leave_open_is_completed_on_heroku_alone(given, shown):
    show = "; ".join(f'echo "${name}"' for name in SHOWN)
    done = subprocess.run(
        ["bash", "-c", f"set -e; . ./.profile; {show}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:-1] == shown
