from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.engine.sender import Answer
from webhooks.engine.verdict import Verdict, decide

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
STEPS = [5, 300]


def answer(status_code: int | None, error: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(
        status_code=status_code,
        error=error,
        headers=named,
        body="",
        truncated=False,
        address="192.0.2.1:443",
        duration_ms=12,
    )


def verdict(given: Answer, tries: int = 1) -> Verdict:
    return decide(given, tries, STEPS, NOW, lambda: 0.5)


@pytest.mark.parametrize("status_code", [200, 201, 202, 204, 226, 299])
@pytest.mark.parametrize("tries", [1, 3, 9])
def test_every_2xx_is_a_success(status_code, tries):
    assert verdict(answer(status_code, retry_after="60"), tries) == Verdict("succeeded")


@pytest.mark.parametrize(
    "status_code", [300, 301, 302, 307, 308, 400, 401, 404, 429, 500, 503, 599]
)
def test_every_other_is_tried_again(status_code):
    assert verdict(answer(status_code, location="https://example.com/")) == Verdict("retry", 5)


def test_so_is_none():
    assert verdict(answer(None, "No answer within 15 s."), 2) == Verdict("retry", 300)


@pytest.mark.parametrize("failure", [answer(500), answer(None, "Connection refused.")])
def test_after_the_last_step_it_has_failed(failure):
    assert verdict(failure, 3) == Verdict("failed")


@pytest.mark.parametrize("tries", [1, 3])
def test_410_ends_it_and_the_endpoint(tries):
    assert verdict(answer(410, retry_after="60"), tries) == Verdict("failed", gone=True)


@pytest.mark.parametrize("status_code", [302, 404, 429, 500, 503])
def test_a_wish_for_later_is_kept_to(status_code):
    wished = answer(status_code, retry_after="60")
    assert verdict(wished) == Verdict("retry", delay_seconds=60, hold_seconds=60)


def test_a_wish_for_earlier_than_the_schedule_is_not():
    assert verdict(answer(503, retry_after="60"), 2) == Verdict("retry", 300, 60)


def test_a_date_is_a_wish_as_well():
    wished = answer(503, retry_after="Sun, 01 Mar 2026 10:30:00 GMT")
    assert verdict(wished) == Verdict("retry", 3_600, 3_600)


def test_the_last_failure_holds_what_else_waits():
    assert verdict(answer(429, retry_after="60"), 3) == Verdict("failed", None, 60)


@pytest.mark.parametrize("value", ["-1", "soon", "", "Sun, 01 Mar 2026 08:30:00 GMT"])
def test_a_wish_that_makes_no_sense_is_passed_over(value):
    assert verdict(answer(503, retry_after=value)) == Verdict("retry", 5)


@given(
    st.none() | st.integers(100, 999),
    st.integers(1, 5),
    st.none() | st.sampled_from(["7", "400", "99999", "x"]),
)
def test_its_parts_fit_each_other(status_code, tries, wish):
    given = answer(status_code, **({} if wish is None else {"retry_after": wish}))
    found = verdict(given, tries)
    assert (found.delay_seconds is not None) == (found.state == "retry")
    assert not found.gone or found.state == "failed"
    if found.state == "retry":
        assert found.delay_seconds >= max(STEPS[tries - 1], found.hold_seconds or 0)
    if found.state == "succeeded":
        assert found.hold_seconds is None
