"""The engine as a whole, against real receivers."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
from django.db import connection, transaction
from standardwebhooks import Webhook

from tests.services.waiting import until
from tests.webhooks.conftest import delivering
from tests.webhooks.receiver import (
    Answers,
    Received,
    Receiver,
    chosen,
    hang,
    reset,
    slow,
    status,
)
from webhooks.dispatch import emit
from webhooks.models import Attempt, Delivery, Endpoint, Event, Health

pytestmark = pytest.mark.django_db(transaction=True)

DATA = {"product": {"id": 7, "name": "Lämpchen"}}


@pytest.fixture(autouse=True)
def _short_time_out(settings):
    settings.WEBHOOK_TIMEOUT_SECONDS = 10
    settings.WEBHOOK_LEASE_SECONDS = 20


def states() -> dict[str, int]:
    """How many deliveries are in each state."""
    found: dict[str, int] = {}
    for state in Delivery.objects.values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def reached(**wanted: int) -> Callable[[], bool]:
    return lambda: states() == wanted


def test_a_receiver_gets_a_signed_event_and_can_check_it(make_endpoint, deliverer):
    with Receiver() as receiver:
        endpoint = make_endpoint(receiver.url, headers={"Authorization": "Bearer x"})
        event = emit("product.created", DATA)
        (received,) = receiver.wait(1)
        until(reached(succeeded=1))
    told = Webhook(endpoint.secrets.get().value).verify(received.body, received.headers)
    event.refresh_from_db()
    assert told["type"] == "product.created"
    assert told["data"] == DATA
    assert received.method == "POST"
    assert received.headers["webhook-id"] == event.webhook_id
    assert received.headers["authorization"] == "Bearer x"
    attempt = Attempt.objects.get()
    assert attempt.request_headers["Authorization"] == "•••"
    assert attempt.request_headers["webhook-signature"] == received.headers["webhook-signature"]
    assert Health.objects.get().last_success_at is not None


def test_a_change_wakes_the_engine_at_once(make_endpoint, settings):
    settings.WEBHOOK_POLL_SECONDS = 60
    with Receiver() as receiver, delivering():
        make_endpoint(receiver.url)
        for count in range(1, 4):
            emit("product.created", DATA)
            receiver.wait(count)
        until(reached(succeeded=3))  # recorded without anybody's call


def test_what_failed_is_sent_again_with_the_same_id_and_body(make_endpoint, deliverer, settings):
    settings.WEBHOOK_RETRY_SECONDS = [0.1, 0.1, 0.1]
    answers = [status(500, "no"), reset(), status(302, headers={"location": "/"}), status()]
    with Receiver(answers) as receiver:
        make_endpoint(receiver.url)
        emit("product.created", DATA)
        until(reached(succeeded=1))
        received = receiver.requests
    assert len(received) == 4
    assert len({(one.headers["webhook-id"], one.body) for one in received}) == 1
    attempts = Attempt.objects.order_by("number")
    assert [attempt.status_code for attempt in attempts] == [500, None, 302, 200]
    assert attempts[0].response_body == "no"
    assert attempts[1].error
    assert Delivery.objects.get().attempts_made == 4


def test_a_hanging_endpoint_and_a_failing_one_delay_only_themselves(make_endpoint, settings):
    settings.WEBHOOK_TIMEOUT_SECONDS = 60  # nothing that hangs is given up meanwhile
    settings.WEBHOOK_LEASE_SECONDS = 120
    with (
        delivering(),
        Receiver(hang()) as hanging,
        Receiver(status(500)) as failing,
        Receiver() as healthy,
    ):
        for receiver in (hanging, failing, healthy):
            make_endpoint(receiver.url)
        sent = [emit("product.created", DATA).webhook_id for _ in range(40)]
        healthy.wait(40)
        hanging.wait(settings.WEBHOOK_IN_FLIGHT_PER_ENDPOINT)
        assert {one.headers["webhook-id"] for one in healthy.requests} == set(sent)
        until(lambda: states().get("succeeded") == 40)
        assert states()["pending"] + states()["sending"] == 80
        assert len(hanging.requests) == settings.WEBHOOK_IN_FLIGHT_PER_ENDPOINT


def test_an_open_circuit_loses_nothing(make_endpoint, deliverer, settings):
    settings.WEBHOOK_RETRY_SECONDS = [0.1] * 3
    settings.WEBHOOK_BREAK_AFTER = 2
    settings.WEBHOOK_BREAK_SECONDS = 0.3
    with Receiver(status(503)) as receiver:
        make_endpoint(receiver.url)
        sent = {emit("product.created", DATA).webhook_id for _ in range(12)}
        until(lambda: Health.objects.get().failures_in_a_row >= 3)
        receiver.answer = status(200)
        until(lambda: states().get("pending", 0) + states().get("sending", 0) == 0)
        assert {one.headers["webhook-id"] for one in receiver.requests} == sent
    # Not 12 × 4 attempts: while the circuit was open nearly all were spared.
    assert Attempt.objects.filter(state="failed").count() < 30
    assert states() == {"succeeded": 12}


def test_410_ends_it_and_what_waits_goes_on_when_enabled_again(make_endpoint, deliverer, settings):
    settings.WEBHOOK_IN_FLIGHT_PER_ENDPOINT = 1
    with Receiver(status(410)) as receiver:
        endpoint = make_endpoint(receiver.url)
        with transaction.atomic():  # all are there before the first is sent
            for _ in range(3):
                emit("product.created", DATA)
        until(lambda: not Endpoint.objects.get().enabled)
        emit("product.created", DATA)  # not for an endpoint that is disabled
        until(lambda: not Event.objects.filter(fanned_out_at=None).exists())
        assert states() == {"failed": 1, "pending": 2}
        receiver.answer = status(200)
        Endpoint.objects.filter(pk=endpoint.pk).update(enabled=True)
        Health.objects.update(held_until=None)
        until(reached(failed=1, succeeded=2))


def test_it_ends_what_is_under_way_before_it_stops(make_endpoint):
    with Receiver(slow(0.5)) as receiver:
        make_endpoint(receiver.url)
        with delivering():
            emit("product.created", DATA)
            receiver.wait(1)
    assert states() == {"succeeded": 1}


def test_two_engines_send_each_event_once(make_endpoint):
    with Receiver() as receiver, delivering(), delivering():
        endpoints = [make_endpoint(receiver.address(f"/{number}")) for number in range(3)]
        for _ in range(30):
            emit("product.created", DATA)
        until(reached(succeeded=90))
        received = [(one.path, one.headers["webhook-id"]) for one in receiver.requests]
    assert len(received) == len(set(received)) == 30 * len(endpoints)


def cut(what: str = "%") -> None:
    """End all other connections to this database whose last statement was like `what`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE %s",
            [what],
        )


def listeners() -> list[int]:
    """Processes of the server that wait to be rung for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND query LIKE 'LISTEN%' AND state = 'idle'"
        )
        return [pid for (pid,) in cursor.fetchall()]


def test_a_change_wakes_the_engine_also_after_the_database_has_cut_all_connections(
    make_endpoint, settings
):
    settings.WEBHOOK_POLL_SECONDS = 3600
    with Receiver() as receiver, delivering():
        make_endpoint(receiver.url)
        for turn in range(2):
            (before,) = until(listeners)
            cut()
            until(lambda gone=before: set(listeners()) - {gone})
            for count in range(3 * turn + 1, 3 * turn + 4):
                emit("product.created", DATA)
                receiver.wait(count)
                until(reached(succeeded=count))


@contextmanager
def no_new_connections() -> Iterator[None]:
    """As where the server has none to spare."""
    parameters = connection.get_connection_params()
    name = parameters["dbname"]
    with closing(psycopg2.connect(**{**parameters, "dbname": "postgres"})) as outside:
        outside.autocommit = True
        with outside.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            try:
                yield
            finally:
                cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def test_it_sends_without_being_woken_where_there_is_no_connection_for_that(
    make_endpoint, deliverer, caplog
):
    with Receiver() as receiver:
        make_endpoint(receiver.url)
        until(listeners)
        emit("product.created", DATA)
        receiver.wait(1)
        with no_new_connections():
            cut("LISTEN%")
            until(lambda: "only polled" in caplog.text)
            for count in range(2, 5):
                emit("product.created", DATA)
                receiver.wait(count)
        until(listeners)
        until(reached(succeeded=4))
    assert caplog.text.count("only polled") == 1


def test_nothing_is_lost_while_the_database_cuts_all_connections(make_endpoint, deliverer):
    with Receiver(chosen(lambda _: slow(0.05))) as receiver:
        make_endpoint(receiver.url)
        sent = set()
        for _ in range(5):
            for _ in range(4):
                sent.add(emit("product.created", DATA).webhook_id)
                time.sleep(0.01)
            cut()
        until(reached(succeeded=20))
        assert {one.headers["webhook-id"] for one in receiver.requests} == sent


def test_what_stockroom_itself_can_not_send_is_said_and_keeps_nobody_waiting(
    make_endpoint, deliverer, settings
):
    settings.WEBHOOK_RETRY_SECONDS = [3600]
    with Receiver() as receiver:
        bad = make_endpoint(receiver.url)
        bad.secrets.update(value="whsec_")  # signs nothing
        make_endpoint(receiver.url)
        emit("product.created", DATA)
        until(reached(succeeded=1, pending=1))
    delivery = Delivery.objects.get(endpoint=bad)
    assert "Stockroom itself failed" in delivery.last_error


def test_the_body_is_the_same_however_the_database_keeps_it(make_endpoint, deliverer, settings):
    settings.WEBHOOK_RETRY_SECONDS = [0.1]
    data = {"b": 1, "a": {"z": [1.5, None, True], "é": "\u2028 </script>"}}
    with Receiver([status(500), status(200)]) as receiver:
        make_endpoint(receiver.url)
        emit("product.updated", data)
        first, second = receiver.wait(2)
    assert first.body == second.body
    assert json.loads(first.body)["data"] == data


def test_a_transaction_that_stands_still_holds_up_its_own_endpoint_only(
    make_endpoint, deliverer, workers
):
    begun, over = threading.Event(), threading.Event()

    def hold(endpoint: Endpoint) -> None:
        with transaction.atomic():
            Health.objects.select_for_update().get(pk=endpoint.pk)
            begun.set()
            assert over.wait(60)

    def answer(_: Received) -> Answers:
        begun.wait(60)  # not recorded before the other one stands still
        return status()

    with Receiver(chosen(answer)) as held, Receiver() as free:
        stuck = make_endpoint(held.url)
        make_endpoint(free.url)
        emit("product.created", DATA)
        held.wait(1)
        holding = workers(hold, stuck)
        assert begun.wait(60)
        for _ in range(5):
            emit("product.created", DATA)
        others = Delivery.objects.exclude(endpoint=stuck)
        until(lambda: others.filter(state="succeeded").count() == 6)
        assert states()["sending"] == 1  # answered, and not recorded yet
        over.set()
        holding.result(timeout=60)
        until(reached(succeeded=12))


@pytest.mark.parametrize("poison", ["9" * 5_000, "[" * 5_000 + "]" * 5_000])
def test_data_that_nobody_can_read_harms_its_own_delivery_only(
    make_endpoint, deliverer, settings, poison
):
    settings.WEBHOOK_RETRY_SECONDS = [3600]
    with Receiver() as receiver:
        make_endpoint(receiver.url)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO webhooks_event (id, type, data)"
                " VALUES (gen_random_uuid(), 'product.created', %s::jsonb)",
                [f'{{"x": {poison}}}'],
            )
        emit("product.created", DATA)
        until(reached(succeeded=1, pending=1))
    assert "Stockroom itself failed" in Delivery.objects.get(state="pending").last_error


def test_a_broken_endpoint_harms_only_itself(make_endpoint, deliverer, settings):
    settings.WEBHOOK_RETRY_SECONDS = [3600]
    with Receiver() as receiver:
        make_endpoint(receiver.url, headers=[1])
        make_endpoint(receiver.url)
        emit("product.created", DATA)
        until(reached(succeeded=1, pending=1))


def test_an_answer_that_repeats_the_request_tells_viewers_no_secret(make_endpoint, deliverer):
    def echo(request: Received) -> Answers:
        said = request.headers["authorization"]
        return status(401, f"Who is {said}?", {"x-got": said})

    with Receiver(chosen(echo)) as receiver:
        make_endpoint(receiver.url, headers={"Authorization": "Bearer s3cr3t"})
        emit("product.created", DATA)
        until(lambda: Attempt.objects.filter(state="failed").exists())
    attempt = Attempt.objects.get()
    assert attempt.response_body == "Who is •••?"
    assert attempt.response_headers["x-got"] == "•••"
