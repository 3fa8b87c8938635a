import json
import logging
import sys
from datetime import datetime

import pytest

from config.logs.json_lines import JSONFormatter, note


def line(**fields: object) -> dict[str, object]:
    values = {"name": "products", "msg": "job %s", "args": (7,), "levelname": "INFO", **fields}
    text = JSONFormatter("web").format(logging.makeLogRecord(values))
    assert len(text.splitlines()) == 1
    return json.loads(text)


def test_a_line_says_when_who_and_what() -> None:
    found = line(created=1_789_000_000.25, process=12)
    assert found == {
        "timestamp": "2026-09-10T00:26:40.250Z",
        "level": "INFO",
        "process": 12,
        "role": "web",
        "logger": "products",
        "message": "job 7",
    }
    assert datetime.fromisoformat(str(found["timestamp"])).tzinfo is not None


def test_ids_are_given_where_they_are_known() -> None:
    found = line(request_id="abc", task="products.tasks.advance_import", task_id="", consumer="")
    assert found["request_id"] == "abc"
    assert found["task"] == "products.tasks.advance_import"
    assert "task_id" not in found and "consumer" not in found


def test_a_traceback_is_part_of_its_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        found = line(exc_info=sys.exc_info())
    assert str(found["exception"]).startswith("Traceback (most recent call last):\n")
    assert str(found["exception"]).endswith("ValueError: two\nlines")


@pytest.mark.parametrize("text", ["a\nb\r\nc", "\u2028\x85\x0b\0", "\ud800", '"\\'])
def test_no_text_ends_a_line(text: str) -> None:
    assert line(msg="%s", args=(text,))["message"] == text


def test_what_others_give_with_a_record_stays_out() -> None:
    found = line(request="Authorization: Bearer stk_secret", data={"args": ["secret"]})
    assert "secret" not in json.dumps(found)


def test_a_very_long_text_loses_its_middle() -> None:
    found = str(line(msg="%s", args=("a" * 100_000 + "the end",))["message"])
    assert len(found) < 10_000 and found.startswith("aaa") and found.endswith("the end")


def test_a_note_is_a_line_too() -> None:
    found = json.loads(note("supervisor", "config.services.process", "started, 100 %"))
    assert (found["role"], found["message"]) == ("supervisor", "started, 100 %")
