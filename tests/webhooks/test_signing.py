import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from webhooks.signing import new_secret, signature

# Of the tests of the specification's own libraries.
VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR_AT = datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)  # 1614265330
VECTOR_BODY = b'{"test": 2432232314}'
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

ID = "evt_0123456789abcdef"
BODY = '{"type":"product.created","data":{"name":"Lämpchen 💡"}}'.encode()


def headers(signed: str, at: datetime) -> dict[str, str]:
    return {
        "webhook-id": ID,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signed,
    }


def test_it_gives_the_published_signature():
    assert signature([VECTOR_SECRET], VECTOR_ID, VECTOR_AT, VECTOR_BODY) == VECTOR_SIGNATURE


def test_the_zone_of_the_time_does_not_matter():
    at = VECTOR_AT.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert signature([VECTOR_SECRET], VECTOR_ID, at, VECTOR_BODY) == VECTOR_SIGNATURE


def test_a_part_of_a_second_is_cut_off():
    at = VECTOR_AT + timedelta(microseconds=999_999)
    assert signature([VECTOR_SECRET], VECTOR_ID, at, VECTOR_BODY) == VECTOR_SIGNATURE


def test_each_of_two_secrets_verifies_alone():
    now, old, new = datetime.now(UTC), new_secret(), new_secret()
    signed = headers(signature([new, old], ID, now, BODY), now)
    assert len(signed["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        assert Webhook(secret).verify(BODY, signed)["type"] == "product.created"
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, signed)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_nothing_can_be_changed_on_the_way(changed):
    now, secret = datetime.now(UTC), new_secret()
    signed, body = headers(signature([secret], ID, now, BODY), now), BODY
    Webhook(secret).verify(body, signed)
    if changed == "body":
        body = body.replace(b"created", b"deleted")
    else:
        signed[changed] = signed[changed][:-1] + ("1" if signed[changed][-1] == "0" else "0")
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, signed)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_library_verifies_every_text(text):
    now = datetime.now(UTC)
    signed = headers(signature([VECTOR_SECRET], ID, now, text.encode()), now)
    Webhook(VECTOR_SECRET).verify(text.encode(), signed, json_parse=False)


def test_a_message_is_never_sent_unsigned():
    with pytest.raises(ValueError, match="needs a secret"):
        signature([], ID, VECTOR_AT, BODY)


def test_a_secret_is_32_random_bytes_as_the_specification_writes_them():
    made = {new_secret() for _ in range(20)}
    assert len(made) == 20
    for secret in made:
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
