import json
from datetime import UTC, datetime, timedelta, timezone

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from webhooks.engine import message
from webhooks.engine.message import HIDDEN, RESERVED, check_header, shown

AT = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type":"product.created"}'


def headers(*, at=AT, custom=None, test=False, secrets=(SECRET,)) -> dict[str, str]:
    return message.headers("evt_1", at, BODY, secrets, custom or {}, test)


class TestBody:
    def test_it_is_compact_json_in_utf_8(self):
        made = message.body("product.created", AT, {"name": "Lämpchen 💡", "n": [1, None]})
        assert made.decode() == (
            '{"type":"product.created","timestamp":"2026-03-01T09:30:00.123456Z",'
            '"data":{"name":"Lämpchen 💡","n":[1,null]}}'
        )

    @pytest.mark.parametrize(
        "at", [AT.replace(microsecond=0), AT.astimezone(timezone(timedelta(hours=-9)))]
    )
    def test_the_timestamp_always_has_the_same_form(self, at):
        found = json.loads(message.body("product.created", at, {}))["timestamp"]
        assert len(found) == len("2026-03-01T09:30:00.123456Z")
        assert found.endswith("Z")
        assert datetime.fromisoformat(found) == at

    def test_what_is_no_json_is_refused(self):
        with pytest.raises(ValueError, match="JSON"):
            message.body("product.created", AT, {"n": float("nan")})


class TestHeaders:
    def test_an_attempts(self):
        made = headers()
        assert list(made) == [
            "content-type",
            "user-agent",
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        ]
        assert made["content-type"] == "application/json"
        assert made["user-agent"] == "Stockroom-Webhooks/1"
        assert made["webhook-id"] == "evt_1"
        assert made["webhook-timestamp"] == str(int(AT.timestamp()))

    def test_the_library_verifies_them(self):
        made = headers(at=datetime.now(UTC), secrets=(message_secret(), SECRET))
        assert Webhook(SECRET).verify(BODY, made) == {"type": "product.created"}

    def test_a_test_says_so(self):
        assert headers(test=True)["webhook-test"] == "true"
        assert "webhook-test" not in headers()

    def test_custom_ones_are_added_as_they_are_written(self):
        assert headers(custom={"X-Api-Key": "k"})["X-Api-Key"] == "k"

    def test_custom_ones_never_replace_ours(self):
        custom = {"Webhook-Id": "evt_2", "CONTENT-TYPE": "text/plain", "host": "other.example"}
        assert headers(custom=custom) == headers()


def message_secret() -> str:
    return "whsec_" + "QUJD" * 8


class TestShown:
    def test_the_values_of_custom_ones_are_not(self):
        made = headers(custom={"X-Api-Key": "geheim", "Authorization": "Bearer geheim"})
        kept = shown(made, ["x-api-key", "Authorization"])
        assert kept == headers() | {"X-Api-Key": HIDDEN, "Authorization": HIDDEN}
        assert "geheim" not in str(kept)

    def test_ours_are(self):
        assert shown(headers(), ["webhook-id"]) == headers()


class TestCheckHeader:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Authorization", "Bearer abc.def_ghi"),
            ("X-Api-Key", "k"),
            ("Cookie", "session=1; other=2"),
            ("x_tenant", 'a "quoted" value, with signs: ~!'),
            ("n" * 100, "v" * 1_000),
        ],
    )
    def test_it_takes(self, name, value):
        assert check_header(name, value) == ""

    @pytest.mark.parametrize(
        ("name", "error"),
        [
            ("", "A header needs a name."),
            ("n" * 101, "at most 100 characters"),
            *(
                (name, "without spaces")
                for name in ("X Y", "X:", "Ä", "X\r\n", "X\n", "(x)", "x\0")
            ),
            *((name, "set by Stockroom") for name in sorted(RESERVED)),
            *(
                (name, "set by Stockroom")
                for name in (
                    "Host",
                    "Content-Length",
                    "content-type",
                    "Content-Encoding",
                    "WEBHOOK-SIGNATURE",
                    "webhook-anything",
                    "Proxy-Authorization",
                    "Transfer-Encoding",
                )
            ),
        ],
    )
    def test_it_refuses_a_name(self, name, error):
        assert error in check_header(name, "value")

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            ("", "X-Key needs a value."),
            ("v" * 1_001, "at most 1,000 characters"),
            *(
                (value, "on one line")
                for value in ("a\r\nX: y", "a\n", "a\0", "ä", "€", "a\tb", " a", "a ", " ", "\x7f")
            ),
        ],
    )
    def test_it_refuses_a_value(self, value, error):
        assert error in check_header("X-Key", value)

    @given(st.text(max_size=8), st.text(max_size=8))
    def test_what_it_takes_can_be_sent(self, name, value):
        """The HTTP library that sends refuses what would break out of its header."""
        if check_header(name, value) == "":
            h11.Request(
                method="POST",
                target="/",
                headers=[("host", "x"), (name.encode("ascii"), value.encode("ascii"))],
            )
