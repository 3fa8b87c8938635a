"""What errors of Kafka mean for whoever runs it: words, and how long to wait for the next try."""

import re
import ssl

from django.conf import settings
from kafka import errors

from .client import is_refusal, root_of, tls_reason

# A refused password or a missing right waits for a person; a broker may be back in a moment.
REFUSED_PAUSE_SECONDS = 15.0
PAUSE_SECONDS = 2.0


class Unusable(ConnectionError):
    """Settings that no client can be made from. The text is for operators."""


# The first kind that fits. {given} is what the broker or the library said.
WAITS_FOR_SOMEBODY: dict[type[BaseException], str] = {
    errors.SaslAuthenticationFailedError: "Kafka refuses the user {user!r} or the password"
    " ({given}). Correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, or the user on the brokers.",
    errors.UnsupportedSaslMechanismError: "Kafka does not take KAFKA_SASL_MECHANISM={mechanism}:"
    " set one that its listener offers.",
    errors.IllegalSaslStateError: "The listener at {brokers} takes no user and password: correct"
    " KAFKA_SECURITY_PROTOCOL ({protocol}) or KAFKA_BOOTSTRAP_SERVERS.",
    errors.TopicAuthorizationFailedError: "We have no right to a topic ({given}). Let our user"
    " describe and read the topics that are read, and describe and write those that are written.",
    errors.GroupAuthorizationFailedError: "We have no right to the consumer group ({given}). Let"
    " our user read it.",
    errors.TransactionalIdAuthorizationFailedError: "We have no right to our transactions"
    " ({given}). Let our user describe and write transactional ids that begin as the group does.",
    errors.ClusterAuthorizationFailedError: "We have no right to this ({given}). Create the topics"
    " by hand, or let our user do it.",
    errors.UnknownTopicOrPartitionError: "A topic or partition is not there ({given}). Create it,"
    " or correct its name in the settings.",
    errors.InvalidTopicError: "Kafka takes no topic of this name ({given}). Correct it in the"
    " settings.",
    errors.InvalidReplicationFactorError: "Kafka can't create the topic ({given}). Create it by"
    " hand, with as many replicas as there are brokers for.",
    errors.PolicyViolationError: "The brokers' rules forbid this ({given}). Create the topic by"
    " hand.",
    errors.InvalidSessionTimeoutError: "The session time-out is outside of what the brokers allow:"
    " set it between their group.min.session.timeout.ms and group.max.session.timeout.ms.",
    errors.InvalidTransactionTimeoutError: "Our transactions may take longer than the brokers"
    " allow: raise their transaction.max.timeout.ms to 15000 or more.",
    errors.InconsistentGroupProtocolError: "Another application uses the same consumer group: give"
    " one of the two another name.",
    errors.GroupMaxSizeReachedError: "The group has as many members as the brokers'"
    " group.max.size allows.",
    errors.UnsupportedVersionError: "These brokers are of a version that does not do what is asked"
    " ({given}). Kafka 2.5 or newer is needed.",
    errors.MessageSizeTooLargeError: "A message is larger than the topic takes ({given}). Raise its"
    " max.message.bytes.",
    errors.RecordListTooLargeError: "A batch is larger than the topic takes ({given}). Raise its"
    " max.message.bytes and segment.bytes.",
    errors.UnsupportedCodecError: "A batch is compressed in a way that can't be read here"
    " ({given}). Install what requirements.txt names.",
    errors.CorruptRecordError: "What a broker sent is damaged ({given}). Check its disk and"
    " network.",
}
SOON: dict[type[BaseException], str] = {
    errors.ProducerFencedError: "Another instance writes under the same name. Give each its own.",
    errors.InvalidProducerEpochError: "Another instance writes under the same name, or a"
    " transaction took too long. Give each instance its own name.",
    errors.FencedInstanceIdError: "Another instance is in the group under the same name. Give each"
    " its own.",
    errors.NotEnoughReplicasError: "Too few brokers have copies of a partition to write to it"
    " (min.insync.replicas). Start the missing ones.",
    errors.NotEnoughReplicasAfterAppendError: "Too few brokers have copies of a partition to write"
    " to it (min.insync.replicas). Start the missing ones.",
    errors.CoordinatorNotAvailableError: "The brokers at {brokers} are not ready yet to look"
    " after groups and transactions. If it stays so, some of them are missing.",
    errors.CoordinatorLoadInProgressError: "The brokers at {brokers} are not ready yet to look"
    " after groups and transactions. They are reading their logs.",
    errors.KafkaStorageError: "A broker can't use its disk. Look at its log.",
}
# What is said of a connection that did not come about, by what its error says.
REASONS = {
    "ECONNREFUSED": "connection refused",
    "EHOSTUNREACH": "no way to the host",
    "ENETUNREACH": "no way to the network",
    "ETIMEDOUT": "no answer in time",
    "DNS": "unknown host",
    "timed out": "no answer in time",
    "Timed out": "no answer in time",
    "Unable to bootstrap": "no answer in time",
}
ENDED = ("socket disconnected", "ECONNRESET", "EOF", "Connection reset", "Broken pipe")


def in_words(error: BaseException) -> str:
    """What is wrong and what to do about it, for operators; one to three sentences."""
    if isinstance(error, Unusable):
        return str(error)
    if (refused := tls_reason(error)) is not None and is_refusal(error):
        return _tls_in_words(refused)
    for kind, words in (WAITS_FOR_SOMEBODY | SOON).items():
        if isinstance(error, kind):
            return words.format(
                given=_given(error),
                brokers=_brokers(),
                user=settings.KAFKA_SASL_USERNAME,
                mechanism=settings.KAFKA_SASL_MECHANISM,
                protocol=settings.KAFKA_SECURITY_PROTOCOL,
            )
    if isinstance(error, (errors.RetriableError, errors.KafkaProtocolError, OSError)):
        return _away_in_words(error)
    return f"Kafka could not do what was asked ({_given(error)})."


def curable(error: BaseException) -> bool:
    """Whether waiting and trying again with new clients may help; else the fault is ours.

    Refused credentials, certificates and rights count: somebody may set them right meanwhile.
    """
    ours = (
        errors.IllegalStateError,
        errors.IllegalArgumentError,
        errors.KafkaConfigurationError,
    )
    return isinstance(error, (errors.KafkaError, OSError, Unusable)) and not isinstance(error, ours)


def replaced(error: BaseException) -> bool:
    """Whether another instance works under our name, or ours was given up for taking too long."""
    return isinstance(
        error,
        (
            errors.ProducerFencedError,
            errors.InvalidProducerEpochError,
            errors.FencedInstanceIdError,
        ),
    )


def pause_seconds(error: BaseException) -> float:
    """How long to wait before the next try after `error`."""
    slow = isinstance(error, (Unusable, *WAITS_FOR_SOMEBODY)) or is_refusal(error)
    return REFUSED_PAUSE_SECONDS if slow else PAUSE_SECONDS


def _away_in_words(error: BaseException) -> str:
    root = root_of(error)
    text = str(root)
    if isinstance(root, errors.BrokerResponseError) and not isinstance(
        root, errors.RequestTimedOutError
    ):
        return (
            f"Kafka at {_brokers()} can't do this just now ({_given(root)}). If it stays so, look"
            " at the logs of its brokers."
        )
    if any(sign in text for sign in ENDED) or isinstance(root, errors.KafkaProtocolError):
        return (
            f"Kafka at {_brokers()} ends our connections. If it is running: does"
            f" KAFKA_SECURITY_PROTOCOL ({settings.KAFKA_SECURITY_PROTOCOL}) fit its listener?"
        )
    said = _given(root) if root.args else "the connection was lost"
    reason = next((words for sign, words in REASONS.items() if sign in text), said)
    return (
        f"Kafka can't be reached at {_brokers()}: {reason}. Start it, or correct"
        " KAFKA_BOOTSTRAP_SERVERS. Work goes on by itself once it answers."
    )


def _tls_in_words(error: ssl.SSLError) -> str:
    where = f"at {_brokers()}"
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (62, 64):  # the host's name, its address
            return (
                f"The certificate of Kafka {where} is for another host ({error.verify_message})."
                " Use the host name it was made for."
            )
        return (
            f"The certificate of Kafka {where} is not trusted ({error.verify_message})."
            " Set KAFKA_CA_FILE to the authority it comes from."
        )
    reason = str(error.reason or error)
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER" in reason:
        return (
            f"The listener {where} does not speak TLS: correct KAFKA_SECURITY_PROTOCOL or the port."
        )
    return (
        f"Kafka {where} refuses our certificate ({reason.replace('_', ' ').lower()}). Correct"
        " KAFKA_CLIENT_CERT and KAFKA_CLIENT_CERT_KEY, or what the brokers trust."
    )


def _brokers() -> str:
    return ", ".join(settings.KAFKA_BOOTSTRAP_SERVERS)


def _given(error: BaseException) -> str:
    """What the error says, without the library's names where it says more."""
    said = re.sub(r"\b\w+Error: ", "", ", ".join(str(arg) for arg in error.args if str(arg)))
    return (said or getattr(error, "message", None) or type(error).__name__)[:300]
