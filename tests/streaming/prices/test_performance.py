"""The function of the specification, what may be put in its place, and what that may give."""

import math
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings

from streaming.prices import performance
from streaming.prices.performance import Failure, in_words, loaded, number, result, token

from . import functions

HOOKED = "tests.streaming.prices.functions.hooked"


def test_the_function_of_the_specification_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(performance.time, "sleep", slept.append)

    assert loaded(settings.PRICES_PERFORMANCE) is performance.calculate_performance
    assert result(settings.PRICES_PERFORMANCE, "1734") == "0"
    assert slept == [3]


@pytest.mark.parametrize(
    ("price", "expected"),
    [("0", 0), ("1734", 1734), ("12.5", 12.5), ("1e2", 100.0), ("-3.5", -3.5)],
)
def test_a_price_is_an_int_or_a_float(price: str, expected: int | float) -> None:
    found = number(price)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("price", ["1e999", "9" * 400, "9" * 5000, "much"])
def test_a_price_that_no_number_holds_is_a_failure(price: str) -> None:
    with pytest.raises(Failure, match="can't be calculated with"):
        number(price)


class Int(int):
    def __repr__(self) -> str:
        return "Int()"


class Float(float):
    def __repr__(self) -> str:
        return "Float()"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        *((0, "0"), (-7, "-7"), (12.5, "12.5"), (1e300, "1e+300"), (0.1, "0.1"), (-0.0, "-0.0")),
        (10**30, "1" + "0" * 30),
        # As numpy's are.
        *((Int(3), "3"), (Float(1.5), "1.5")),
    ],
)
def test_finite_ints_and_floats_are_results(given: int | float, expected: str) -> None:
    assert token(given) == expected


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize(
    ("given", "says"),
    [
        *((math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")),
        *((True, "True"), (None, "None"), ("12", "'12'"), (Decimal(1), "Decimal")),
        *(([0], r"\[0\]"), (1j, "1j"), ("x" * 1000, "x…"), (Unspeakable(), "a value of type")),
        (10**400, "no finite number"),
        pytest.param(10**5000, "a value of type int", id="too-long-to-be-shown"),
    ],
)
def test_all_else_is_a_failure_that_shows_it(given: object, says: str) -> None:
    with pytest.raises(Failure, match=says) as failure:
        token(given)

    assert len(str(failure.value)) < 200


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no\n  use "), "ValueError: no use"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "SystemExit: 3"),
        (Unspeakable(), "Unspeakable"),
        (ValueError("a\udc80b\0c"), "ValueError: a?b?c"),
    ],
)
def test_an_exception_is_one_line_that_redis_takes(error: BaseException, words: str) -> None:
    assert in_words(error) == words
    assert in_words(error).encode()


def test_a_long_text_is_cut() -> None:
    assert len(in_words(ValueError("x" * 10_000))) == performance.SHOWN + 1


@pytest.mark.parametrize("error", [ValueError("boom"), MemoryError("boom"), SystemExit("boom")])
def test_whatever_the_function_raises_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(price: object) -> None:
        raise error

    monkeypatch.setattr(functions, "hook", fail)

    with pytest.raises(Failure, match=f"{type(error).__name__}: boom"):
        result(HOOKED, "1")


def test_the_end_of_its_time_is_none_of_its_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def overrun(price: object) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(functions, "hook", overrun)

    with pytest.raises(SoftTimeLimitExceeded):
        result(HOOKED, "1")


def test_the_end_of_its_process_is_none_of_its_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool's handler of SIGTERM raises SystemExit wherever the process is."""
    monkeypatch.setattr(functions, "hook", lambda price: sys.exit(-241))
    monkeypatch.setattr(performance, "terminate_handler_fired", lambda: True)

    with pytest.raises(SystemExit):
        result(HOOKED, "1")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("nowhere.at_all", "nowhere.at_all can't be loaded: ModuleNotFoundError: No module"),
        ("tests.streaming.prices.functions.none", "can't be loaded: AttributeError"),
        ("calculate", "can't be loaded: ValueError: Empty module name"),
        ("", "can't be loaded"),
        ("tests.streaming.prices.functions.NOT_CALLABLE", "can't be called"),
    ],
)
def test_a_function_that_is_not_there_is_a_failure(path: str, says: str) -> None:
    with pytest.raises(Failure, match=says):
        result(path, "1")


@pytest.mark.parametrize("text", ["def f(", "raise SystemExit(3)", "1 / 0"])
def test_a_module_that_can_not_be_imported_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "broken_performance.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(Failure, match=r"broken_performance\.f can't be loaded: "):
        result("broken_performance.f", "1")
    assert "broken_performance" not in sys.modules


def test_the_function_gets_the_price(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[Any] = []
    monkeypatch.setattr(functions, "hook", lambda price: got.append(price) or 1)

    assert [result(HOOKED, price) for price in ("5", "5.25")] == ["1", "1"]
    assert [(each, type(each)) for each in got] == [(5, int), (5.25, float)]
