from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.engine.schedule import delay, retry_after

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
STEPS = [5, 300, 1_800]


def middle() -> float:
    return 0.5


class TestDelay:
    def test_each_failure_uses_up_one_step(self):
        found = [delay(tries, STEPS, middle) for tries in (1, 2, 3, 4, 5)]
        assert found == [5, 300, 1_800, None, None]

    def test_without_steps_there_is_one_attempt(self):
        assert delay(1, [], middle) is None

    @pytest.mark.parametrize(
        ("random", "seconds"), [(0.0, 270), (0.25, 285), (0.5, 300), (0.75, 315), (1.0, 330)]
    )
    def test_what_failed_together_does_not_come_back_together(self, random, seconds):
        assert delay(2, STEPS, lambda: random) == pytest.approx(seconds)

    @given(st.floats(0, 86_400), st.floats(0, 1, exclude_max=True))
    def test_it_is_within_a_tenth_of_the_step(self, step, random):
        assert step * 0.9 <= delay(1, [step], lambda: random) <= step * 1.1


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0),
            ("120", 120),
            (" 120 ", 120),
            ("0120", 120),
            ("00000000000120", 120),
            ("86400", 86_400),
            ("86401", 86_400),
            ("999999999", 86_400),
            ("9" * 5_000, 86_400),
            # The three forms of RFC 9110 5.6.7, of which senders may use the first only.
            ("Sun, 01 Mar 2026 09:31:00 GMT", 60),
            ("Sunday, 01-Mar-26 09:31:00 GMT", 60),
            ("Sun Mar  1 09:31:00 2026", 60),
            ("Sun, 01 Mar 2026 10:31:00 +0100", 60),
            ("Wed, 01 Apr 2026 09:31:00 GMT", 86_400),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ],
    )
    def test_it_is_read(self, value, seconds):
        assert retry_after(value, NOW) == seconds

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            "  ",
            "-5",
            "+5",
            "1.5",
            "1e3",
            "1_000",
            "٣",
            "soon",
            "120 s",
            "120, 240",
            "Sun, 01 Mar 2026 09:30:00 GMT",  # just now
            "Sun, 01 Mar 2026 09:29:59 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Sun, 41 Mar 2026 09:31:00 GMT",
            "Sun, 01 Mar 99999 09:31:00 GMT",
            "Sun, 01 Mar 2026 09:31:00 +9999999999",
            "Sun, 01 Mar 2026 09:31:00 +99999999999999999999",
            "2026-03-01T09:31:00Z",
        ],
    )
    def test_what_is_none_is_passed_over(self, value):
        assert retry_after(value, NOW) is None

    @given(st.integers(1, 200_000))
    def test_a_date_says_the_same_as_seconds(self, seconds):
        date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
        assert retry_after(date, NOW) == retry_after(str(seconds), NOW) == min(seconds, 86_400)

    @given(st.text() | st.from_regex(r"\A[A-Za-z]{3}, [0-9 :A-Za-z+-]{0,40}\Z"))
    def test_whatever_an_endpoint_sends_is_taken(self, value):
        seconds = retry_after(value, NOW)
        assert seconds is None or 0 <= seconds <= 86_400
