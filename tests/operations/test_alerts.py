"""Alerts as rows and as webhooks; when they are told is test_quiet.py's."""

import json
import threading
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from standardwebhooks import Webhook

from config.accounts.actors import Actor
from config.operations import alerts
from config.operations.models import Alert
from config.operations.problem import Problem
from config.operations.problems import problems
from tests.operations.example import EXAMPLE
from tests.services.waiting import until
from tests.webhooks.conftest import delivering
from tests.webhooks.receiver import Receiver, status
from tests.webhooks.test_event_types import shape
from webhooks.endpoints import fields, service
from webhooks.engine.fan_out import fan_out
from webhooks.event_types import EVENT_TYPES
from webhooks.models import Delivery, Endpoint, Event

BOTH = ["alert.raised", "alert.resolved"]
LAG = Problem("consumer:sales:lag", "warning", "sales is 12,000 behind", "Start one more.", "/x/")


@pytest.fixture(autouse=True)
def _receivers_on_this_machine(settings):
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_PORTS = []
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]
    settings.WEBHOOK_POLL_SECONDS = 0.2
    settings.OPERATIONS_ALERT_AFTER_SECONDS = 30


@pytest.fixture
def start() -> datetime:
    return timezone.now() - timedelta(hours=1)


@pytest.fixture
def add(django_user_model) -> Callable[..., tuple[Endpoint, str]]:
    """`add(url, event_types)`: an endpoint, and its secret."""
    actor = Actor(django_user_model.objects.create_user("ana"))

    def make(url: str = "http://127.0.0.1:9/", event_types: list[str] = BOTH) -> Any:
        return service.create(actor, fields.clean({"url": url, "event_types": event_types}))

    return make


def seconds(start: datetime, count: float) -> datetime:
    return start + timedelta(seconds=count)


def emitted() -> list[tuple[str, str]]:
    """Type and key of each alert that was told, the oldest first."""
    events = Event.objects.order_by("occurred_at", "data__alert__id")
    return [(event.type, event.data["alert"]["key"]) for event in events]


def raised(start: datetime, *found: Problem) -> None:
    """Told of by 30 seconds after `start`."""
    for second in (0, 10, 20, 30):
        alerts.tell(found, seconds(start, second))


@pytest.mark.django_db
class TestRows:
    def test_a_problem_is_a_row_and_told_once_and_so_is_its_end(self, start):
        for second in range(0, 100, 10):
            alerts.tell([LAG] if second < 60 else [], seconds(start, second))
        alert = Alert.objects.get()
        assert (alert.key, alert.severity, alert.title) == (LAG.key, "warning", LAG.title)
        assert alert.first_seen_at == start
        assert alert.raised_at == seconds(start, 30)
        assert alert.last_seen_at == seconds(start, 50)
        assert alert.missing_since == seconds(start, 60)
        assert alert.resolved_at == seconds(start, 90)
        first, second = Event.objects.order_by("occurred_at", "type")
        assert (first.type, second.type) == ("alert.raised", "alert.resolved")
        told = {
            "id": alert.pk,
            "key": LAG.key,
            "severity": "warning",
            "title": LAG.title,
            "advice": LAG.advice,
            "url": LAG.url,
            "began_at": start.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }
        end = seconds(start, 60).isoformat(timespec="microseconds").replace("+00:00", "Z")
        assert first.data == {"alert": told | {"ended_at": None, "seconds": None}}
        assert second.data == {"alert": told | {"ended_at": end, "seconds": 60}}

    @pytest.mark.parametrize("name", BOTH)
    def test_a_sample_has_the_shape_of_what_is_emitted(self, start, name):
        raised(start, LAG)
        for second in (40, 70):
            alerts.tell([], seconds(start, second))
        event = Event.objects.get(type=name)
        assert shape(event.data) == shape(EVENT_TYPES[name].sample)

    def test_what_was_never_told_leaves_nothing(self, start):
        alerts.tell([LAG], start)
        for second in (10, 20, 30, 40):
            alerts.tell([], seconds(start, second))
        assert not Alert.objects.exists() and not Event.objects.exists()

    def test_a_new_leader_goes_on_where_the_last_one_was(self, start):
        """Nothing is kept but rows: any process may call."""
        alerts.tell([LAG], start)
        alerts.tell([LAG], seconds(start, 40))
        alerts.tell([LAG], seconds(start, 50))
        assert emitted() == [("alert.raised", LAG.key)]

    def test_the_row_has_the_newest_words_and_the_worst_severity(self, start):
        raised(start, LAG)
        worse = Problem(LAG.key, "critical", "sales is 90,000 behind", "Hurry.", "/y/")
        alerts.tell([worse], seconds(start, 40))
        alerts.tell([LAG], seconds(start, 50))
        alert = Alert.objects.get()
        assert (alert.severity, alert.title, alert.url) == ("critical", LAG.title, LAG.url)
        assert [event.data["alert"]["severity"] for event in Event.objects.order_by("pk")].count(
            "critical"
        ) == 1
        assert emitted() == [("alert.raised", LAG.key)] * 2

    def test_an_old_sample_changes_nothing(self, start):
        """Of a leader that froze and wakes, while another one has gone on."""
        raised(start, LAG)
        alerts.tell([], seconds(start, 40))
        alerts.tell([], seconds(start, 70))
        disabled = Problem("endpoint:7:disabled", "critical", "Disabled", "Enable it.")
        alerts.tell([LAG, disabled], seconds(start, 35))
        assert emitted() == [("alert.raised", LAG.key), ("alert.resolved", LAG.key)]
        assert Alert.objects.count() == 1

    def test_a_leader_whose_clock_was_ahead_silences_nobody(self, start):
        alerts.tell([LAG], timezone.now() + timedelta(days=1))
        raised(start, LAG, Problem("rollup:missed", "critical", "Missed", "Look."))
        assert ("alert.raised", "rollup:missed") in emitted()

    def test_odd_bytes_in_an_error_silence_nobody(self, start):
        raised(start, Problem("consumer:sales:error", "warning", "It said \0", "Look."))
        assert emitted() == [("alert.raised", "consumer:sales:error")]

    def test_old_ones_are_purged_and_open_ones_stay(self, settings):
        settings.ALERT_KEEP_DAYS = 90
        now = timezone.now()
        for key, days in (("old", 91), ("young", 89), ("open", None)):
            at = now - timedelta(days=400)
            over = None if days is None else now - timedelta(days=days)
            Alert.objects.create(
                key=key, severity="warning", title=key, first_seen_at=at, raised_at=at,
                last_seen_at=at, resolved_at=over,
            )  # fmt: skip
        assert alerts.purge() == 1
        assert set(Alert.objects.values_list("key", flat=True)) == {"young", "open"}


@pytest.mark.django_db
def test_alerts_go_to_who_names_them_alone(add, start):
    """`*` was chosen by integrators of products, before there were alerts."""
    add(event_types=["*"])
    by_name, _ = add(event_types=["alert.raised"])
    besides, _ = add(event_types=["*", *BOTH])
    alerts.tell([Problem("endpoint:7:disabled", "critical", "Disabled", "Enable it.")], start)
    alerts.tell([], seconds(start, 10))
    # What happened before an endpoint was there is not for it: these are younger than the events.
    Endpoint.objects.update(created_at=start)
    fan_out()
    assert set(Delivery.objects.values_list("endpoint", "event_type")) == {
        (by_name.pk, "alert.raised"),
        (besides.pk, "alert.raised"),
        (besides.pk, "alert.resolved"),
    }


@pytest.mark.django_db(transaction=True)
class TestLeaders:
    def test_many_at_once_tell_once(self, workers, start):
        """The same sample times, from processes that all believe they lead."""
        disabled = Problem("endpoint:7:disabled", "critical", "Disabled", "Enable it.")
        for second in (0, 10, 20, 30, 40):
            barrier = threading.Barrier(4)

            def lead(number: int, second: int = second, barrier: Any = barrier) -> None:
                barrier.wait(60)
                at = seconds(start, second + number / 1000)
                alerts.tell([disabled, LAG], at)

            for one in [workers(lead, number) for number in range(4)]:
                one.result(60)
        assert sorted(emitted()) == [
            ("alert.raised", LAG.key),
            ("alert.raised", disabled.key),
        ]
        assert Alert.objects.count() == 2

    def test_one_that_freezes_in_the_middle_is_cut_off_and_tells_nothing(
        self, workers, start, monkeypatch
    ):
        patience = alerts.PATIENCE.replace("10s", "2s").replace("5s", "60s")
        monkeypatch.setattr(alerts, "PATIENCE", patience)
        raised(start, LAG)
        frozen, wake = threading.Event(), threading.Event()

        def freeze() -> None:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute(patience)
                alerts._standing(seconds(start, 40))
                frozen.set()
                wake.wait(60)
                alerts.tell([], seconds(start, 90))

        other = workers(freeze)
        assert frozen.wait(60)
        alerts.tell([LAG], seconds(start, 100))  # waits until the database has cut the other off
        wake.set()
        with pytest.raises(OperationalError):
            other.result(60)
        assert Alert.objects.get().last_seen_at == seconds(start, 100)

    def test_while_the_database_is_away_nothing_is_lost(self, start):
        for second in (0, 10, 20):
            alerts.tell([LAG], seconds(start, second))
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        other.close()
        with pytest.raises(OperationalError):
            alerts.tell([LAG], seconds(start, 30))
        connection.close()  # as the loop of samples does
        assert emitted() == []
        alerts.tell([LAG], seconds(start, 300))
        assert emitted() == [("alert.raised", LAG.key)]

    def test_what_ends_in_the_middle_is_neither_written_nor_told(self, start, monkeypatch):
        raised(start)
        disabled = Problem("endpoint:7:disabled", "critical", "Disabled", "Enable it.")

        def fail(*_: Any) -> None:
            raise OperationalError("the connection is cut")

        with monkeypatch.context() as broken:
            broken.setattr(alerts, "_shown", fail)
            with pytest.raises(OperationalError):
                alerts.tell([disabled], seconds(start, 40))
        assert not Alert.objects.exists() and emitted() == []
        alerts.tell([disabled], seconds(start, 50))
        assert emitted() == [("alert.raised", disabled.key)]


def well() -> dict[str, Any]:
    """A sample in which nothing is wrong."""
    sample = deepcopy(EXAMPLE)
    for job in sample["jobs"]:
        job["stalled"] = False
    sample["deliveries"] |= {"failing_endpoints": [], "disabled_endpoints": []}
    return sample


def lag(sample: dict[str, Any]) -> None:
    next(each for each in sample["consumers"] if each["name"] == "sales")["lag"] = 1_000_000


def missed_rollup(sample: dict[str, Any]) -> None:
    sample["rollup"]["missed"] = True


def disabled_endpoint(sample: dict[str, Any]) -> None:
    row = {"id": 13, "url": "https://old.example/hook", "reason": "it said 410 Gone"}
    sample["deliveries"]["disabled_endpoints"] = [row]


def stalled_job(sample: dict[str, Any]) -> None:
    sample["jobs"][0]["stalled"] = True


def many_rejects(sample: dict[str, Any]) -> None:
    next(each for each in sample["rejects"] if each["kind"] == "sales")["last_hour"] = 1_000_000


@pytest.mark.django_db(transaction=True)
class TestWebhooks:
    """From a sample to a receiver, through the real engine."""

    def test_each_kind_of_problem_arrives_signed_and_so_does_its_end(self, add, start):
        wrong = {
            "consumer:sales:lag": lag,
            "rollup:missed": missed_rollup,
            "endpoint:13:disabled": disabled_endpoint,
            "job:import:7:stalled": stalled_job,
            "rejects:sales": many_rejects,
        }
        assert problems(well()) == []
        with Receiver() as receiver, delivering():
            _, secret = add(receiver.url)
            sample = well()
            for make in wrong.values():
                make(sample)
            raised(start, *problems(sample))
            receiver.wait(len(wrong))
            for second in (40, 50, 60, 70):
                alerts.tell(problems(well()), seconds(start, second))
            came = receiver.wait(2 * len(wrong))
            until(lambda: Delivery.objects.filter(state="succeeded").count() == 2 * len(wrong))
        told = [Webhook(secret).verify(one.body, one.headers) for one in came]
        assert {(one["type"], one["data"]["alert"]["key"]) for one in told} == {
            (name, key) for name in BOTH for key in wrong
        }
        ids = {one["data"]["alert"]["key"]: one["data"]["alert"]["id"] for one in told}
        assert all(one["data"]["alert"]["id"] == ids[one["data"]["alert"]["key"]] for one in told)
        for one in told:
            alert = one["data"]["alert"]
            assert alert["title"] and alert["advice"] and alert["severity"]
            assert (alert["seconds"] == 40) is (one["type"] == "alert.resolved")

    def test_that_an_endpoint_was_disabled_goes_to_the_others(self, add, start):
        with Receiver(status(410)) as gone, Receiver() as receiver, delivering():
            endpoint, _ = add(gone.url)
            add(receiver.url)
            raised(start, LAG)
            until(lambda: not Endpoint.objects.get(pk=endpoint.pk).enabled)
            endpoint.refresh_from_db()
            sample = well()
            row = {"id": endpoint.pk, "url": endpoint.url, "reason": endpoint.disabled_reason}
            sample["deliveries"]["disabled_endpoints"] = [row]
            found = problems(sample)
            alerts.tell([*found, LAG], seconds(start, 40))
            came = receiver.wait(2)
            until(lambda: not Event.objects.filter(fanned_out_at=None).exists())
        about = [json.loads(one.body)["data"]["alert"] for one in came]
        assert about[-1]["key"] == f"endpoint:{endpoint.pk}:disabled"
        assert about[-1]["url"] == f"/webhooks/endpoints/{endpoint.pk}/"
        assert len(gone.requests) == 1
