"""What is wrong in a sample, by tables; every page that a problem leads to is there."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import resolve

from config.operations.limits import Limits, limits
from config.operations.problem import Problem
from config.operations.problems import problems
from config.operations.sections import SECTIONS
from tests.operations.example import AT, EXAMPLE

Sample = dict[str, Any]
ROLES = ("beat", "deliveries", "ledger", "orders", "performance", "prices", "sales", "worker")


def well(**sections: Any) -> Sample:
    """A sample in which nothing is wrong, but for what is given."""
    found = copy.deepcopy(EXAMPLE)
    found["jobs"] = found["jobs"][:1]
    found["deliveries"] |= {"failing_endpoints": [], "disabled_endpoints": []}
    return {**found, **sections}


def found(sample: Sample, **given: Any) -> list[Problem]:
    return problems(sample, Limits(**given))


def keys(sample: Sample, **given: Any) -> list[str]:
    return [each.key for each in found(sample, **given)]


def only(sample: Sample, **given: Any) -> Problem:
    (problem,) = found(sample, **given)
    return problem


def consumer(name: str = "sales", **fields: Any) -> Sample:
    """One consumer's record."""
    record = {"name": name, "host": "one", "pid": 106, "state": "running", "error": None}
    return {**record, "lag": 0, "rate": 1.0, "says": [], **fields}


def with_consumers(*records: Sample) -> Sample:
    return well(consumers=list(records), queues=[])


def queue(**fields: Any) -> Sample:
    plain = {"name": "imports", "engine": "redis", "waiting": 3, "oldest_seconds": 1.0}
    return well(queues=[{**plain, "consumers": None, "error": "", **fields}])


def engine(**fields: Any) -> Sample:
    sample = well()
    sample["engines"][2] |= fields
    return sample


def job(**fields: Any) -> Sample:
    sample = well()
    sample["jobs"][0] |= fields
    return sample


def part(name: str, **fields: Any) -> Sample:
    sample = well()
    sample[name] |= fields
    return sample


def rejects(kind: str, count: int) -> Sample:
    row = {"kind": kind, "last_hour": count, "total": None, "url": "/imports/"}
    return well(rejects=[row])


def without_process(role: str) -> Sample:
    sample = well(roles_seen=dict.fromkeys(ROLES, AT - 60))
    for section, name in (("processes", "role"), ("consumers", "name")):
        sample[section] = [each for each in sample[section] if each[name] != role]
    return sample


def checked(state: str | None, **fields: Any) -> Sample:
    sample = well()
    sample["checks"][0] |= {"state": state, **fields}
    return sample


def purged(**fields: Any) -> Sample:
    sample = well()
    sample["retention"]["purges"][0] |= fields
    return sample


def kept(seconds_ago: float | None, beat_seconds: float = 99_999.0) -> Sample:
    """The last turn of retention was so long ago, and beat has run for `beat_seconds`."""
    sample = well()
    sample["retention"]["at"] = None if seconds_ago is None else AT - seconds_ago
    (beat,) = (each for each in sample["processes"] if each["role"] == "beat")
    beat["started_at"] = AT - beat_seconds
    return sample


def unchecked(seconds: float) -> Sample:
    return checked("error", unknown_since=AT - seconds)


DAY = 86_400.0
FAILING = {"id": 12, "url": "https://shop.example/hook", "failures": 5}
DISABLED = {"id": 13, "url": "https://old.example/hook", "reason": "the receiver said 410 Gone"}

SLOW = {"section": "rejects", "why": "PostgreSQL needed more than a second"}

REFUSED = (
    "RabbitMQ: ConnectionClosedByBroker: (403) 'ACCESS_REFUSED - Login was refused using"
    " authentication mechanism PLAIN. For details see the broker logfile.'"
)
NO_ADDRESS = "the address of RabbitMQ is not set (AMQP_URL)"

ONE = [  # sample, key, severity, words of its title
    (engine(status="degraded", detail="no answer in time"), "engine:kafka", "critical", "Kafka is"),
    (engine(status="down", required=True), "engine:kafka", "critical", "Kafka is down"),
    *((without_process(role), f"process:{role}:missing", "critical", role) for role in ROLES),
    (
        with_consumers(consumer(state="crashed", error="ValueError: x")),
        "consumer:sales:crashed",
        "critical",
        "crashed: ValueError: x",
    ),
    (
        with_consumers(consumer(error="health() is not JSON: x")),
        "consumer:sales:error",
        "warning",
        "health() is not JSON",
    ),
    (
        with_consumers(consumer(says=[["waiting for", "Kafka: no broker could be reached"]])),
        "consumer:sales:waiting",
        "critical",
        "sales waits: Kafka: no broker",
    ),
    (
        with_consumers(consumer("orders", says=[["queue trouble", REFUSED]])),
        "consumer:orders:queue",
        "warning",
        "orders does without its queue: RabbitMQ: ConnectionClosedByBroker: (403)",
    ),
    (
        with_consumers(consumer(says=[["halted", "2"]])),
        "consumer:sales:halted",
        "critical",
        "halted 2 partitions",
    ),
    (with_consumers(consumer(lag=10_001)), "consumer:sales:lag", "warning", "10,001 behind"),
    (with_consumers(consumer(lag=10_001, rate=0.0)), "consumer:sales:lag", "critical", "behind"),
    (with_consumers(consumer(lag=10_001, rate=None)), "consumer:sales:lag", "warning", "behind"),
    (
        with_consumers(consumer(lag=6000), consumer(pid=7, lag=6000)),
        "consumer:sales:lag",
        "warning",
        "12,000 behind",
    ),
    (queue(oldest_seconds=61.0), "queue:imports:age", "critical", "waits for 61 s"),
    (queue(consumers=0), "queue:imports:unread", "critical", "3 messages wait"),
    (queue(waiting=10_001), "queue:imports:lag", "warning", "10,001 messages wait"),
    (job(stalled=True), "job:import:7:stalled", "critical", "products.csv"),
    (
        job(stalled=True, kind="bulk change"),
        "job:bulk-change:7:stalled",
        "critical",
        "bulk change 7 stands still",
    ),
    (
        part("deliveries", due=4, oldest_due_seconds=301.0),
        "deliveries:late",
        "critical",
        "4 are due, the oldest for 5 min",
    ),
    (part("deliveries", disabled_endpoints=[DISABLED]), "endpoint:13:disabled", "critical", "old."),
    (part("deliveries", failing_endpoints=[FAILING]), "endpoint:12:failing", "warning", "5 times"),
    (part("rollup", missed=True), "rollup:missed", "critical", "not written"),
    (part("rollup", failure="KeyDB: refused"), "rollup:failed", "critical", "KeyDB: refused"),
    (part("rollup", lateness_seconds=5.1), "rollup:late", "warning", "5.1 s late"),
    (part("performance", missed=True), "performance:missed", "critical", "No metric"),
    (part("performance", failed=1), "performance:failed", "warning", "1 metric of prices"),
    (part("orders", oldest_seconds=121.0), "orders:late", "critical", "25 are open, the"),
    (part("orders", open=18_000), "orders:limit", "warning", "18,000 orders are open"),
    (part("orders", open=20_000), "orders:limit", "critical", "20,000 is the limit"),
    (rejects("sales", 1001), "rejects:sales", "warning", "1,001 in the last hour"),
    (rejects("stock sync", 1001), "rejects:stock-sync", "warning", "stock sync"),
    (
        checked("failed", found=3, standing=3),
        "check:ledger:failed",
        "critical",
        "Ledger found 3 things that should not be",
    ),
    (checked("error", standing=1), "check:ledger:failed", "critical", "found 1 thing that"),
    (unchecked(2 * DAY + 1), "check:ledger:unknown", "warning", "Ledger could not look for 2 d"),
    (kept(3601.0), "retention:old", "warning", "was not let go of for 1 h"),
    (kept(None), "retention:old", "warning", "No turn of retention is known to have ended"),
    (purged(error="OperationalError"), "retention:uploads", "warning", "Old uploads could not"),
    (well(age_seconds=30.1), "sample:old", "critical", "No sample for 30 s"),
    (well(queues={"error": "Redis: no answer in time"}), "unknown", "warning", "queues"),
    (well(unread=[SLOW]), "unknown", "warning", "just now: some rejects"),
    (
        queue(waiting=None, oldest_seconds=None, engine="rabbitmq", error="x"),
        "unknown",
        "warning",
        "just now: some queues",
    ),
]


@pytest.mark.parametrize(("sample", "key", "severity", "title"), ONE, ids=[row[1] for row in ONE])
def test_one_thing_that_is_wrong_is_one_problem(sample, key, severity, title):
    problem = only(sample)
    assert (problem.key, problem.severity) == (key, severity)
    assert title in problem.title and "\n" not in problem.title
    assert problem.advice.endswith((".", "!", "?"))
    if problem.url:
        assert resolve(problem.url.partition("#")[0])


JUST_RIGHT = [
    well(),
    well(age_seconds=29.9),
    with_consumers(consumer(lag=10_000)),
    with_consumers(consumer(lag=None, rate=None)),
    with_consumers(consumer(state="draining")),
    queue(oldest_seconds=60.0),
    queue(waiting=0, consumers=0),
    queue(waiting=None, consumers=None, error="there is no queue orders yet", missing=True),
    well(unread=[]),
    job(stalled=False, beaten_at=None),
    part("deliveries", due=900, oldest_due_seconds=300.0),
    part("deliveries", disabled_endpoints=[{**DISABLED, "reason": ""}]),
    part("rollup", lateness_seconds=5.0),
    part("rollup", minute=None, lateness_seconds=None),
    part("performance", minute=None, calculated=None, failed=None, seconds=None),
    part("orders", oldest_seconds=120.0),
    part("orders", open=17_999),
    part("orders", open=0, limit=0),
    rejects("sales", 1000),
    checked("error", found=0),
    unchecked(2 * DAY),
    checked("passed", found=0),
    checked(None, found=None),
    purged(more=True),
    kept(3600.0),
    kept(None, beat_seconds=3600.0),
    kept(30 * DAY, beat_seconds=3600.0),  # all was switched off for a month, and on again
    well(retention={"at": None, "purges": []}),
    well(alerts={"not": "ours"}),
]


@pytest.mark.parametrize("sample", JUST_RIGHT, ids=range(len(JUST_RIGHT)))
def test_what_is_just_within_its_limit_is_no_problem(sample):
    assert keys(sample) == []


LIMITS = [
    (with_consumers(consumer(lag=5)), {"lag": 4}, "consumer:sales:lag"),
    (queue(oldest_seconds=5.0), {"queue_age_seconds": 4.0}, "queue:imports:age"),
    (
        part("deliveries", oldest_due_seconds=5.0),
        {"delivery_age_seconds": 4.0},
        "deliveries:late",
    ),
    (rejects("sales", 5), {"rejects_per_hour": 4}, "rejects:sales"),
    (part("rollup", lateness_seconds=2.0), {"lateness_seconds": 1.0}, "rollup:late"),
    (part("orders", oldest_seconds=5.0), {"order_age_seconds": 4.0}, "orders:late"),
    (well(age_seconds=5.0), {"sample_age_seconds": 4.0}, "sample:old"),
]


@pytest.mark.parametrize(("sample", "given", "key"), LIMITS, ids=[row[2] for row in LIMITS])
def test_each_limit_is_one_that_can_be_set(sample, given, key):
    assert keys(sample) == []
    assert keys(sample, **given) == [key]


def test_limits_are_settings(settings):
    assert limits() == Limits()
    settings.OPERATIONS_MAX_LAG = 7
    settings.OPERATIONS_MAX_QUEUE_AGE_SECONDS = 8.0
    settings.OPERATIONS_MAX_DELIVERY_AGE_SECONDS = 9.0
    settings.OPERATIONS_MAX_REJECTS_PER_HOUR = 10
    settings.OPERATIONS_MAX_LATENESS_SECONDS = 11.0
    settings.OPERATIONS_SAMPLE_SECONDS = 60.0
    settings.VERIFIER_TIMEOUT_SECONDS = 12.0
    settings.OPERATIONS_RETIRED_ROLES = ["sales", " prices"]  # as environs reads "sales, prices"
    assert limits() == Limits(
        *(7, 8.0, 9.0, 10, 11.0, 180.0),
        order_age_seconds=72.0,
        retired_roles=frozenset({"sales", "prices"}),
    )


def test_the_worst_come_first_and_else_the_order_of_the_page():
    sample = part("rollup", lateness_seconds=99.0)
    sample["engines"][2]["status"] = "degraded"
    sample["jobs"][0]["stalled"] = True
    sample["rejects"][2]["last_hour"] = 5000
    assert keys({**sample, "age_seconds": 99.0}) == [
        "sample:old",
        "engine:kafka",
        "job:import:7:stalled",
        "rollup:late",
        "rejects:sales",
    ]


def test_the_example_has_a_stalled_job_and_two_endpoints():
    assert keys(EXAMPLE) == [
        "job:stock-sync:3:stalled",
        "endpoint:13:disabled",
        "endpoint:12:failing",
    ]


def test_no_two_problems_have_one_key():
    sample = with_consumers(
        *(consumer(pid=pid, state="crashed", error="x") for pid in (1, 2)),
        consumer(pid=3, lag=99_999),
    )
    assert keys(sample) == ["consumer:sales:crashed", "consumer:sales:lag"]


# Roles


@pytest.mark.parametrize("role", ["deliveries", "sales", "prices", "performance", "ledger"])
def test_a_role_that_was_never_started_is_not_missed(role):
    sample = without_process(role)
    del sample["roles_seen"]
    assert keys(sample) == []
    sample["roles_seen"] = {each: AT for each in ROLES if each != role}
    assert keys(sample) == []


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_a_role_without_which_nothing_works_is_missed_on_a_new_installation(role):
    sample = without_process(role)
    del sample["roles_seen"]
    assert keys(sample) == [f"process:{role}:missing"]


def test_a_role_that_is_retired_is_not_missed():
    sample = without_process("sales")
    assert "name it in OPERATIONS_RETIRED_ROLES" in only(sample).advice
    assert keys(sample, retired_roles=frozenset({"sales"})) == []
    assert keys(sample, retired_roles=frozenset({"prices"})) == ["process:sales:missing"]


def test_nobody_is_told_to_retire_what_nothing_works_without():
    assert "RETIRED" not in only(without_process("beat")).advice


def test_a_consumer_in_another_process_is_not_missed():
    sample = well(roles_seen=dict.fromkeys(ROLES, AT))
    sample["processes"] = [
        each for each in sample["processes"] if each["role"] not in ("sales", "ledger")
    ]
    assert keys(sample) == []


def test_who_can_not_be_seen_is_not_missed():
    sample = well(processes={"error": "Redis: no answer in time"}, roles_seen={"sales": AT})
    assert keys(sample) == ["unknown"]


# Consumers


WAITS = [["waiting for", "another instance leads"]]


def test_an_instance_that_stands_by_is_no_problem():
    second = consumer("ledger", pid=7, says=WAITS)
    assert keys(with_consumers(consumer("ledger"), second)) == []
    assert keys(with_consumers(second)) == ["consumer:ledger:waiting"]


@pytest.mark.parametrize(
    ("name", "engine", "words"),
    [
        ("sales", "kafka", "No Kafka is known. Set KAFKA_BOOTSTRAP_SERVERS to host:port"),
        ("ledger", "rabbitmq", "the address of RabbitMQ: set AMQP_URL"),
    ],
)
def test_a_consumer_whose_engine_this_deployment_lacks_is_no_problem(name, engine, words):
    sample = with_consumers(consumer(name, says=[["waiting for", words]]))
    assert keys(sample) == [f"consumer:{name}:waiting"]
    sample["engines"] = [each for each in sample["engines"] if each["name"] != engine]
    assert keys(sample) == []


def test_an_engine_that_is_away_is_one_problem_and_not_one_of_each_that_waits_for_it():
    waits = [["waiting for", "Kafka: no broker could be reached"]]
    sample = with_consumers(
        *(consumer(name, pid=7, says=waits) for name in ("deliveries", "sales", "prices"))
    )
    sample["engines"][2] |= {"status": "degraded", "detail": "it can't be reached"}
    assert keys(sample) == ["engine:kafka", "consumer:deliveries:waiting"]


@pytest.mark.parametrize("engine", ["postgres", "prices-redis"])
def test_orders_that_wait_for_an_engine_that_is_away_are_no_second_problem(engine):
    waits = [["waiting for", "Redis (PRICES_REDIS_URL): Error 111. Connection refused."]]
    sample = with_consumers(consumer("orders", says=waits))
    sample["engines"].append({**sample["engines"][3], "name": "prices-redis"})
    assert keys(sample) == ["consumer:orders:waiting"]
    next(each for each in sample["engines"] if each["name"] == engine)["status"] = "degraded"
    assert keys(sample) == [f"engine:{engine}"]


def test_what_holds_orders_up_is_told_while_rabbitmq_is_away():
    says = [["waiting for", "Redis (PRICES_REDIS_URL): OOM"], ["queue trouble", "RabbitMQ: away"]]
    sample = with_consumers(consumer("orders", says=says))
    sample["engines"][3] |= {"status": "degraded", "detail": "it can't be reached"}
    assert keys(sample) == ["engine:rabbitmq", "consumer:orders:waiting"]
    sample["consumers"][0]["says"] = says[1:]
    assert keys(sample) == ["engine:rabbitmq"]


def test_orders_that_have_no_rabbitmq_on_this_deployment_only_wait_for_what_holds_them_up():
    says = [["waiting for", "Redis (PRICES_REDIS_URL): OOM"], ["queue trouble", NO_ADDRESS]]
    sample = with_consumers(consumer("orders", says=says))
    sample["engines"] = [each for each in sample["engines"] if each["name"] != "rabbitmq"]
    assert keys(sample) == ["consumer:orders:waiting"]
    sample["consumers"][0]["says"] = says[1:]
    assert keys(sample) == []


def test_orders_that_only_one_of_two_takes_from_the_queue_are_no_problem():
    trouble = [["queue trouble", NO_ADDRESS]]
    sample = with_consumers(consumer("orders"), consumer("orders", pid=7, says=trouble))
    assert keys(sample) == []
    sample["consumers"][0]["says"] = trouble
    assert keys(sample) == ["consumer:orders:queue"]


def test_a_ledger_that_nobody_uses_yet_is_no_problem():
    waits = ["waiting for", "table initial_data is missing: the producer makes it"]
    assert keys(with_consumers(consumer("ledger", says=[waits, ["in use", "no"]]))) == []
    assert keys(with_consumers(consumer("ledger", says=[waits]))) == ["consumer:ledger:waiting"]


def test_one_that_does_not_run_is_told_by_its_role():
    silent = {"name": "sales", "state": "not running", "command": "celery …", "process": "sales"}
    sample = with_consumers(silent)
    sample["processes"] = [each for each in sample["processes"] if each["role"] != "sales"]
    assert keys(sample) == []
    assert keys({**sample, "roles_seen": {"sales": AT}}) == ["process:sales:missing"]


def test_lag_says_how_long_it_takes():
    assert (
        "At 1,000 per second that takes 20 s."
        in only(with_consumers(consumer(lag=20_000, rate=1000.0))).advice
    )


# Safeguards


def test_what_retention_did_not_let_go_of_is_told_once_while_beat_is_missing():
    sample = kept(9 * DAY)
    sample["processes"] = [each for each in sample["processes"] if each["role"] != "beat"]
    assert keys(sample) == ["process:beat:missing"]


def test_what_a_check_found_before_it_could_not_look_any_more_still_stands():
    sample = unchecked(3 * DAY)
    sample["checks"][0] |= {"standing": 2, "standing_url": "/operations/checks/"}
    assert keys(sample) == ["check:ledger:failed", "check:ledger:unknown"]


# Versions and what is not known


def test_mixed_versions_name_those_left_behind():
    sample = well()
    sample["processes"][4]["version"] = "0.9.0"
    problem = only(sample)
    assert (problem.key, problem.severity) == ("versions", "warning")
    assert "0.9.0 and 1.0.0" in problem.title
    assert "0.9.0 is: prices (one · 105)." in problem.advice


def test_what_is_not_known_is_one_problem_whatever_its_cause():
    away = {"error": "PostgreSQL: no answer in time"}
    problem = only(well(jobs=away, orders=away, deliveries=away, rejects=away))
    assert problem.title == (
        "Nobody knows just now: imports and jobs, deliveries, open orders and rejects"
    )
    assert problem.advice.count("PostgreSQL: no answer in time") == 1


def test_queues_of_an_engine_that_is_away_are_no_second_problem():
    sample = queue(waiting=None, engine="rabbitmq", error="RabbitMQ is away: no answer in time")
    assert keys(sample) == ["unknown"]
    sample["engines"][3] |= {"status": "degraded", "detail": "no answer in time"}
    assert keys(sample) == ["engine:rabbitmq"]


def test_what_is_missing_in_part_is_told_without_the_words_of_an_exception():
    sample = queue(waiting=None, engine="rabbitmq", error="RabbitMQ: ana@host: refused")
    problem = only({**sample, "unread": [SLOW], "jobs": {"error": "away"}})
    assert problem.title == (
        "Nobody knows just now: imports and jobs, some rejects and some queues"
    )
    assert problem.advice.startswith(
        "away, PostgreSQL needed more than a second and RabbitMQ does not tell of the queue imports"
    )


def test_a_turn_of_retention_that_nobody_could_look_up_is_not_old():
    assert keys({**kept(None), "retention": {"error": "Redis does not answer"}}) == ["unknown"]


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("broken", [lambda: {"error": "away"}, None], ids=["error", "missing"])
def test_any_section_may_be_away_or_not_there(section: str, broken: Callable[[], Any] | None):
    sample = well()
    if broken is None:
        del sample[section]  # from a web process of an older version
    else:
        sample[section] = broken()
    assert keys(sample) == ([] if broken is None else ["unknown"])


def test_nothing_at_all_is_known_of_an_empty_sample():
    assert keys({}) == []
