"""Certificates, passwords and rights on a real Kafka; what is said where one of them is wrong."""

import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, errors
from kafka.admin import NewTopic
from kafka.structs import OffsetAndMetadata, TopicPartition

from config import health
from streaming.kafka_log import trouble
from streaming.kafka_log.connection import Unusable, curable, in_words, options, pause_seconds
from streaming.kafka_log.trouble import PAUSE_SECONDS, REFUSED_PAUSE_SECONDS
from streaming.sales.consumer import SalesConsumer
from tests.services.waiting import until
from tests.streaming.kafka_log.secure_kafka import USERS, SecureKafka

LONG_MS = 60_000  # a refusal is said long before that
SHORT_MS = 1_500
# Where nothing is said before the end, of what was answered meanwhile: on a busy machine later.
ANSWERED_MS = (6_000, 20_000, 60_000)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    engine = SecureKafka(tmp_path_factory.mktemp("kafka"))
    try:
        engine.start()
        for user, password in USERS.items():
            engine.set_password(user, password)
        yield engine
    finally:
        engine.close()


@pytest.fixture
def tls(secure: SecureKafka, settings: Any, tmp_path: Path) -> Any:
    """The settings, right for the listener that wants a certificate."""
    secure.authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings.KAFKA_BOOTSTRAP_SERVERS = [secure.at("SSL")]
    settings.KAFKA_SECURITY_PROTOCOL = "SSL"
    settings.KAFKA_CA_FILE = str(tmp_path / "ca.pem")
    settings.KAFKA_TRUSTED_CERT = ""
    settings.KAFKA_CLIENT_CERT, settings.KAFKA_CLIENT_CERT_KEY = secure.certificate(secure.clients)
    return settings


@pytest.fixture
def sasl(secure: SecureKafka, tls: Any) -> Any:
    """The settings, right for the listener that wants TLS and a password."""
    tls.KAFKA_BOOTSTRAP_SERVERS = [secure.at("SASL_SSL")]
    tls.KAFKA_SECURITY_PROTOCOL = "SASL_SSL"
    tls.KAFKA_CLIENT_CERT = tls.KAFKA_CLIENT_CERT_KEY = ""
    tls.KAFKA_SASL_MECHANISM = "SCRAM-SHA-512"
    tls.KAFKA_SASL_USERNAME, tls.KAFKA_SASL_PASSWORD = "stockroom", USERS["stockroom"]
    return tls


def work() -> None:
    """Admin, transactional producer and consumer in a group, each with `options`."""
    topic = f"t{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(**options())
    admin.create_topics([NewTopic(topic, 1, 1)])
    admin.close()
    consumer = KafkaConsumer(
        topic, **options(), group_id=topic, isolation_level="read_committed",
        auto_offset_reset="earliest", enable_auto_commit=False,
    )  # fmt: skip
    producer = KafkaProducer(**options(), transactional_id=topic)
    try:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, b"sold").get(60)
        producer.send_offsets_to_transaction(
            {TopicPartition(topic, 0): OffsetAndMetadata(0, "", -1)}, topic
        )
        producer.commit_transaction()
        found = until(lambda: consumer.poll(timeout_ms=200))
        assert [record.value for records in found.values() for record in records] == [b"sold"]
    finally:
        producer.close(timeout=5)
        consumer.close(timeout_ms=1000)


CLIENTS: dict[str, Callable[..., Any]] = {
    "consumer": KafkaConsumer,
    "producer": KafkaProducer,
    "admin": KafkaAdminClient,
}


def refused(within_ms: int = LONG_MS, kind: str = "consumer") -> Exception:
    """What is raised where no client can be made; no thread of it is left."""
    threads = threading.active_count()
    with pytest.raises(Exception) as caught:
        CLIENTS[kind](**options(), bootstrap_timeout_ms=within_ms)
    until(lambda: threading.active_count() <= threads)
    return caught.value


def said(error: Exception, *parts: str) -> None:
    """Its words hold `parts`, and waiting is the answer to it."""
    words = in_words(error)
    assert all(part in words for part in parts), words
    assert "Error" not in words and "\n" not in words, words
    assert curable(error)


def said_in_the_end(*parts: str) -> None:
    """The same, of the error that comes when the time is over."""
    for within_ms in ANSWERED_MS[:-1]:
        error = refused(within_ms)
        if all(part in in_words(error) for part in parts):
            break
    else:
        error = refused(ANSWERED_MS[-1])
    said(error, *parts)


def test_certificates_serve_all_kinds_of_clients(tls):
    work()


def test_the_health_check_reaches_a_broker_by_tls(tls):
    health._kafka(30.0)
    tls.KAFKA_CLIENT_CERT = ""
    with pytest.raises(OSError):
        health._kafka(5.0)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_password_over_tls_serves_all_kinds_of_clients(sasl, mechanism):
    sasl.KAFKA_SASL_MECHANISM = mechanism
    work()


def test_a_password_without_tls_is_possible(sasl, secure):
    sasl.KAFKA_BOOTSTRAP_SERVERS = [secure.at("SASL_PLAINTEXT")]
    sasl.KAFKA_SECURITY_PROTOCOL = "SASL_PLAINTEXT"
    work()


def test_herokus_variables_work_though_no_host_name_matches(tls, secure):
    tls.KAFKA_BOOTSTRAP_SERVERS = [secure.at("HEROKU")]
    tls.KAFKA_CA_FILE = ""
    tls.KAFKA_TRUSTED_CERT = secure.authority.cert_pem.bytes().decode()
    work()


def test_variables_of_one_line_are_understood(tls, secure):
    tls.KAFKA_CA_FILE = ""
    tls.KAFKA_TRUSTED_CERT = secure.authority.cert_pem.bytes().decode().replace("\n", "\\n")
    tls.KAFKA_CLIENT_CERT = tls.KAFKA_CLIENT_CERT.replace("\n", "\\n")
    tls.KAFKA_CLIENT_CERT_KEY = tls.KAFKA_CLIENT_CERT_KEY.replace("\n", "\\n")
    KafkaAdminClient(**options()).close()


def test_herokus_certificates_are_still_checked(tls, secure):
    tls.KAFKA_CA_FILE = ""
    tls.KAFKA_TRUSTED_CERT = trustme.CA().cert_pem.bytes().decode()
    said(refused(), "not trusted", secure.at("SSL"))


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_certificate_of_an_unknown_authority_is_said_at_once(tls, tmp_path, kind):
    trustme.CA().cert_pem.write_to_path(tls.KAFKA_CA_FILE)
    error = refused(kind=kind)
    said(error, "not trusted", "KAFKA_CA_FILE")
    assert pause_seconds(error) == REFUSED_PAUSE_SECONDS


def test_a_certificate_for_another_host_is_said_at_once(tls, secure):
    tls.KAFKA_BOOTSTRAP_SERVERS = [secure.at("HEROKU")]
    said(refused(), "another host", "127.0.0.1")


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_missing_certificate_of_ours_is_said_at_once(tls, kind):
    tls.KAFKA_CLIENT_CERT = ""
    said(refused(kind=kind), "refuses our certificate", "KAFKA_CLIENT_CERT")


def test_a_certificate_of_ours_that_the_brokers_do_not_trust_is_said_at_once(tls, secure):
    tls.KAFKA_CLIENT_CERT, tls.KAFKA_CLIENT_CERT_KEY = secure.certificate(trustme.CA())
    said(refused(), "refuses our certificate")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
@pytest.mark.parametrize("kind", CLIENTS)
def test_a_wrong_password_is_said_at_once(sasl, kind, mechanism):
    sasl.KAFKA_SASL_MECHANISM = mechanism
    sasl.KAFKA_SASL_PASSWORD = "wrong"
    error = refused(kind=kind)
    said(error, "refuses the user 'stockroom'", "KAFKA_SASL_PASSWORD")
    assert pause_seconds(error) == REFUSED_PAUSE_SECONDS


def test_a_mechanism_that_the_broker_does_not_have_is_said_at_once(sasl):
    sasl.KAFKA_SASL_MECHANISM = "SCRAM-SHA-256"
    said(refused(), "KAFKA_SASL_MECHANISM=SCRAM-SHA-256")


def test_one_broker_of_several_that_refuses_is_passed_over(tls, secure):
    tls.KAFKA_BOOTSTRAP_SERVERS = [secure.at("HEROKU"), secure.at("SSL")]
    KafkaAdminClient(**options(), bootstrap_timeout_ms=LONG_MS).close()


def test_a_refusal_says_more_than_another_broker_that_is_away(sasl, secure):
    sasl.KAFKA_SASL_PASSWORD = "wrong"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = f"127.0.0.1:{free.getsockname()[1]}"
        sasl.KAFKA_BOOTSTRAP_SERVERS = [away, secure.at("SASL_SSL"), away]
        said_in_the_end("refuses the user 'stockroom'")


def test_the_log_holds_no_traceback_of_a_refusal(tls, caplog):
    tls.KAFKA_CLIENT_CERT = ""
    refused()
    assert not [record for record in caplog.records if record.name.startswith("kafka")]


@pytest.mark.parametrize(
    ("listener", "protocol", "part"),
    [
        ("SASL_SSL", "SSL", "KAFKA_SECURITY_PROTOCOL"),
        ("SASL_PLAINTEXT", "PLAINTEXT", "KAFKA_SECURITY_PROTOCOL"),
        ("SASL_PLAINTEXT", "SASL_SSL", "KAFKA_SECURITY_PROTOCOL"),
        ("SSL", "PLAINTEXT", "KAFKA_SECURITY_PROTOCOL"),
    ],
)
def test_a_protocol_that_does_not_fit_the_listener_is_said(sasl, secure, listener, protocol, part):
    sasl.KAFKA_BOOTSTRAP_SERVERS = [secure.at(listener)]
    sasl.KAFKA_SECURITY_PROTOCOL = protocol
    said_in_the_end(part)


def test_an_address_of_something_else_is_said(settings):
    with socket.create_server(("127.0.0.1", 0)) as web:
        settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{web.getsockname()[1]}"]
        settings.KAFKA_SECURITY_PROTOCOL = "SSL"

        def answer() -> None:
            browser, _ = web.accept()
            browser.recv(10_000)
            browser.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            browser.close()

        threading.Thread(target=answer, daemon=True).start()
        said(refused(), "does not speak TLS")


def test_a_plain_listener_that_wants_no_password_is_said(sasl, secure):
    sasl.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{secure.port}"]
    sasl.KAFKA_SECURITY_PROTOCOL = "SASL_PLAINTEXT"
    said(refused(), "takes no user and password")


def test_a_user_without_rights_is_told_which(sasl):
    admin = KafkaAdminClient(**options())
    topic = f"t{uuid.uuid4().hex[:8]}"
    admin.create_topics([NewTopic(topic, 1, 1)])
    admin.close()
    sasl.KAFKA_SASL_USERNAME, sasl.KAFKA_SASL_PASSWORD = "nobody", USERS["nobody"]
    consumer = KafkaConsumer(topic, **options(), group_id="a-group")
    try:
        with pytest.raises(Exception) as caught:
            until(lambda: consumer.poll(timeout_ms=200))
    finally:
        consumer.close(timeout_ms=500)
    said(caught.value, "no right to")
    producer = KafkaProducer(**options(), transactional_id="an-id")
    try:
        with pytest.raises(Exception) as caught:
            producer.init_transactions()
    finally:
        producer.close(timeout=1)
    said(caught.value, "no right to our transactions")


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_nobody_at_the_address_is_said_with_the_address(settings, protocol):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        settings.KAFKA_BOOTSTRAP_SERVERS = [address]
        settings.KAFKA_SECURITY_PROTOCOL = protocol
        error = refused(SHORT_MS)
    said(error, f"can't be reached at {address}", "connection refused")
    assert pause_seconds(error) == PAUSE_SECONDS


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_a_broker_that_never_answers_holds_nobody_up(settings, protocol):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{silent.getsockname()[1]}"]
        settings.KAFKA_SECURITY_PROTOCOL = protocol
        said(refused(SHORT_MS), "no answer in time")


def test_an_unknown_host_is_said(settings):
    settings.KAFKA_BOOTSTRAP_SERVERS = ["kafka.invalid:9092"]
    settings.KAFKA_SECURITY_PROTOCOL = "PLAINTEXT"
    said(refused(SHORT_MS), "kafka.invalid:9092", "unknown host")


def test_without_an_address_it_is_said_which_variable_is_missing(settings):
    settings.KAFKA_BOOTSTRAP_SERVERS = []
    with pytest.raises(Unusable) as caught:
        options()
    said(caught.value, "KAFKA_BOOTSTRAP_SERVERS", "make run")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_CA_FILE", "/nonexistent/ca.pem"),
        ("KAFKA_CLIENT_CERT", "no certificate"),
        ("KAFKA_CLIENT_CERT_KEY", ""),
    ],
)
def test_certificates_that_are_none_are_said_by_variable(tls, variable, value):
    setattr(tls, variable, value)
    with pytest.raises(Unusable) as caught:
        options()
    said(caught.value, variable)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(tls, secure):
    from cryptography.hazmat.primitives import serialization as pem

    key = pem.load_pem_private_key(tls.KAFKA_CLIENT_CERT_KEY.encode(), None)
    tls.KAFKA_CLIENT_CERT_KEY = key.private_bytes(
        pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret")
    ).decode()
    with pytest.raises(Unusable) as caught:
        options()
    said(caught.value, "KAFKA_CLIENT_CERT_KEY", "without a password")


def test_no_key_is_left_in_a_file(tls, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    options()
    assert not list((tmp_path / "own").iterdir())


def test_sales_waits_for_its_password_and_goes_on(sasl, secure, monkeypatch):
    monkeypatch.setattr(trouble, "REFUSED_PAUSE_SECONDS", 0.2)
    user = f"u{uuid.uuid4().hex[:8]}"
    sasl.KAFKA_SASL_USERNAME, sasl.KAFKA_SASL_PASSWORD = user, "not-yet-known"
    consumer, stop = SalesConsumer(), threading.Event()
    thread = threading.Thread(target=consumer.run, args=[stop])
    thread.start()
    try:
        refusal = f"refuses the user '{user}'"
        until(lambda: refusal in (consumer.health()["waiting_for"] or ""))
        secure.set_password(user, "not-yet-known")
        until(lambda: "no right to" in (consumer.health()["waiting_for"] or ""))
        secure.allow_all(user)
        until(lambda: consumer.health().get("partitions") == 4)
        until(lambda: consumer.health()["waiting_for"] is None)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (errors.LeaderNotAvailableError(), "can't do this just now (LEADER_NOT_AVAILABLE)"),
        (errors.RequestTimedOutError("Request timed out after 9 ms"), "no answer in time"),
        (errors.KafkaConnectionError(), "the connection was lost"),
        (errors.UnknownTopicOrPartitionError("data"), "not there (data)"),
        (errors.UnsupportedCodecError("zstd"), "can't be read here (zstd)"),
        (errors.InvalidSessionTimeoutError(), "group.min.session.timeout.ms"),
        (errors.UnsupportedVersionError("x"), "2.5 or newer"),
        (errors.NonEmptyGroupError("g"), "could not do what was asked (g)"),
    ],
)
def test_errors_of_brokers_are_said_in_words(settings, error, part):
    settings.KAFKA_BOOTSTRAP_SERVERS = ["kafka.example:9092"]
    said(error, part)


def test_what_is_our_own_fault_is_not_waited_for():
    for error in (
        errors.IllegalStateError("x"),
        errors.KafkaConfigurationError("x"),
        ValueError("x"),
    ):
        assert not curable(error)
