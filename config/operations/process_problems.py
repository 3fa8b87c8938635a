"""What is wrong with engines, processes and consumers. Pure; problems.py collects it."""

from collections.abc import Iterator
from itertools import groupby

from config import figures
from config.services.processes import ROLES

from . import words
from .limits import Limits
from .problem import Problem
from .sections import Row, Sample, failure, rows

ENGINES_URL = "/operations/#engines-title"
PROCESSES_URL = "/operations/#processes-title"
CONSUMERS_URL = "/operations/#consumers-title"
CONSUMER_URLS = {
    "deliveries": "/webhooks/deliveries/",
    "sales": "/streaming/sales/",
    "prices": "/streaming/prices/",
    "ledger": "/transactions/ledger/",
    "orders": "/transactions/orders/",
}
NOT_RUNNING = "not running"
# Nothing works without these, so they are missed even where none was ever seen.
ALWAYS_NEEDED = ("worker", "beat")
# What starts a role, where its name is not that of a line of the Procfile.
LINES = {"worker": "`tasks`, or `worker` if that is all but web here,"}
# Engines without which a consumer waits. One that is away is a problem itself, once for all.
NEEDS = {
    "deliveries": {"postgres", "redis"},
    "sales": {"kafka", "redis"},
    "prices": {"kafka", "redis", "prices-redis"},
    "ledger": {"postgres", "rabbitmq", "keydb"},
    "orders": {"postgres", "redis", "prices-redis"},  # without RabbitMQ its sweep finds them
}
VARIABLES = {"kafka": "KAFKA_BOOTSTRAP_SERVERS", "rabbitmq": "AMQP_URL"}


def engines(sample: Sample, limits: Limits) -> Iterator[Problem]:
    """Those that don't answer. What needs them is late, whether or not web does without."""
    for each in rows(sample, "engines"):
        if each["status"] == "ok":
            continue
        said = f"{words.engine(each['name'])} is {'down' if each['required'] else 'away'}"
        detail = each.get("detail")
        yield Problem(
            f"engine:{each['name']}",
            "critical",
            f"{said}: {detail}" if detail else said,
            each.get("advice") or "Start it.",
            ENGINES_URL,
        )


def missing_processes(sample: Sample, limits: Limits) -> Iterator[Problem]:
    """Roles that have been seen on this deployment, and of which no process beats any more.

    `roles_seen` of the sample has them. One that was never started is nobody's loss, nor is one
    that is retired.
    """
    if failure(sample, "processes"):
        return
    there = {each["role"] for each in rows(sample, "processes")}
    # One process may host them all.
    there |= {each["name"] for each in heard(sample)}
    expected = {*ALWAYS_NEEDED, *(sample.get("roles_seen") or ())} - limits.retired_roles
    for role in (*ROLES, *sorted(expected - set(ROLES))):
        if role in expected - there:
            stands_still = words.STANDS_STILL.get(role, "What it does stands still.")
            line = LINES.get(role, f"`{role}`")
            retire = "If that is on purpose, name it in OPERATIONS_RETIRED_ROLES."
            yield Problem(
                f"process:{role}:missing",
                "critical",
                f"No process of {role} runs",
                f"{stands_still} `make run` starts it; elsewhere start {line} of the Procfile."
                + ("" if role in ALWAYS_NEEDED else f" {retire}"),
                PROCESSES_URL,
            )


def versions(sample: Sample, limits: Limits) -> Iterator[Problem]:
    """Processes of more than one version."""
    processes = sorted(rows(sample, "processes"), key=lambda each: str(each["version"]))
    by_version = {
        version: list(group) for version, group in groupby(processes, lambda each: each["version"])
    }
    if len(by_version) < 2:
        return
    fewest = min(by_version, key=lambda version: len(by_version[version]))
    places = [f"{each['role']} ({_place(each)})" for each in by_version[fewest]]
    yield Problem(
        "versions",
        "warning",
        f"Processes run different versions: {words.listed(list(by_version))}",
        "While a new version is rolled out this is right. If it stays so, restart what was left"
        f" behind. {fewest} is: {words.listed(places)}.",
        PROCESSES_URL,
    )


def consumers(sample: Sample, limits: Limits) -> Iterator[Problem]:
    """Consumers that crashed, wait, stand still or are far behind; one of each for a name."""
    known = sorted(heard(sample), key=lambda each: str(each["name"]))
    status = {each["name"]: each["status"] for each in rows(sample, "engines")}
    away = {engine for engine in status if status[engine] != "ok"}
    unset = {variable for engine, variable in VARIABLES.items() if engine not in status}
    for name, group in groupby(known, lambda each: str(each["name"])):
        instances = list(group)
        url = CONSUMER_URLS.get(name, CONSUMERS_URL)
        yield from _failed(name, instances, url)
        if not NEEDS.get(name, set()) & away:
            yield from _waiting(name, instances, url, unset)
        if status.get("rabbitmq") == "ok":
            yield from _without_queue(name, instances, url)
        yield from _halted(name, instances, url)
        yield from _behind(name, instances, url, limits)


def heard(sample: Sample) -> list[Row]:
    """The consumers that run or have just ended."""
    return [each for each in rows(sample, "consumers") if each["state"] != NOT_RUNNING]


def says(consumer: Row, word: str) -> str:
    """What a consumer says under `word` ("waiting for"), "" where it doesn't."""
    for name, value in consumer.get("says") or ():
        if name == word and value not in (None, "", 0, "0"):
            return str(value)
    return ""


def _failed(name: str, instances: list[Row], url: str) -> Iterator[Problem]:
    crashed = [each for each in instances if each["state"] == "crashed"]
    unwell = [each for each in instances if each.get("error") and each not in crashed]
    if crashed:
        places = words.listed([_place(each) for each in crashed])
        error = next((f": {each['error']}" for each in crashed if each.get("error")), "")
        yield Problem(
            f"consumer:{name}:crashed",
            "critical",
            f"The consumer {name} has crashed{error}",
            f"It was {places}; its supervisor starts it again. If it goes on crashing, its log has"
            " the traceback.",
            url,
        )
    elif unwell:
        yield Problem(
            f"consumer:{name}:error",
            "warning",
            f"The consumer {name} can't say how it is: {unwell[0]['error']}",
            f"It runs ({_place(unwell[0])}). Its log has more.",
            url,
        )


def _waiting(name: str, instances: list[Row], url: str, unset: set[str]) -> Iterator[Problem]:
    """One that goes on does the work of the others: a second ledger waits for the first to end."""
    reasons = _said_by_all(instances, "waiting for")
    # What nobody uses on this deployment, and an engine that it does not have, are not missed.
    if not reasons or set(_said_by_all(instances, "in use")) == {"no"}:
        return
    if all(any(variable in reason for variable in unset) for reason in reasons):
        return
    yield Problem(
        f"consumer:{name}:waiting",
        "critical",
        f"The consumer {name} waits: {_first_sentence(reasons[0])}",
        "It goes on by itself once it has what it waits for; nothing is lost meanwhile.",
        url,
    )


def _without_queue(name: str, instances: list[Row], url: str) -> Iterator[Problem]:
    """RabbitMQ answers the web process, and none of these can take from it what they do without."""
    troubles = _said_by_all(instances, "queue trouble")
    if troubles:
        yield Problem(
            f"consumer:{name}:queue",
            "warning",
            f"The consumer {name} does without its queue: {_first_sentence(troubles[0])}",
            "It goes on by its sweep, so all is done some seconds later. Correct its AMQP_URL, or"
            " what RabbitMQ lets that user do.",
            url,
        )


def _said_by_all(instances: list[Row], word: str) -> list[str]:
    """What those that have not crashed say under `word`; nothing where one of them doesn't."""
    said = [says(each, word) for each in instances if each["state"] != "crashed"]
    return said if all(said) else []


def _first_sentence(text: str) -> str:
    """What to do about it is on the consumer's page."""
    return text.partition(". ")[0].rstrip(".")


def _halted(name: str, instances: list[Row], url: str) -> Iterator[Problem]:
    count = sum(int(text) if (text := says(each, "halted")).isdigit() else 0 for each in instances)
    if count:
        partitions = words.many(count, "partition")
        yield Problem(
            f"consumer:{name}:halted",
            "critical",
            f"The consumer {name} has halted {partitions}",
            "They wait for a decision of yours: its page says which and why.",
            url,
        )


def _behind(name: str, instances: list[Row], url: str, limits: Limits) -> Iterator[Problem]:
    lag = sum(each.get("lag") or 0 for each in instances)
    if lag <= limits.lag:
        return
    rates = [each["rate"] for each in instances if each.get("rate") is not None]
    rate = sum(rates)
    stands = bool(rates) and rate <= 0
    if stands:
        advice = "It takes nothing just now: see what it says on its page and in its log."
    else:
        advice = "If that does not get less, start one more process of it."
        if rates:
            takes = words.duration(lag / rate)
            advice += f" At {figures.rate(rate)} per second that takes {takes}."
    yield Problem(
        f"consumer:{name}:lag",
        "critical" if stands else "warning",
        f"The consumer {name} is {words.count(lag)} behind",
        advice,
        url,
    )


def _place(process: Row) -> str:
    return f"{process.get('host')} · {process.get('pid')}"
