"""The TLS context of all connections to Kafka, from settings; health checks use it too."""

import ssl
import tempfile

from django.conf import settings


class UnusableCertificate(Exception):
    """A certificate, key or authority of the settings can't be used. The text is for operators."""


def context() -> ssl.SSLContext | None:
    """What the brokers' certificates are checked by and ours, None where nothing is encrypted.

    Certificates are always checked. Host names are not where KAFKA_TRUSTED_CERT alone says whom to
    trust: Heroku's certificates bear none that match. Raises UnusableCertificate.
    """
    if settings.KAFKA_SECURITY_PROTOCOL not in ("SSL", "SASL_SSL"):
        return None
    heroku = bool(settings.KAFKA_TRUSTED_CERT) and not settings.KAFKA_CA_FILE
    try:
        made = ssl.create_default_context(
            cafile=settings.KAFKA_CA_FILE or None,
            cadata=_pem(settings.KAFKA_TRUSTED_CERT) if heroku else None,
        )
    except OSError as error:  # SSLError is one
        name = "KAFKA_TRUSTED_CERT" if heroku else "KAFKA_CA_FILE"
        raise UnusableCertificate(f"{name} can't be used: {_reason(error)}.") from error
    made.check_hostname = not heroku
    if settings.KAFKA_CLIENT_CERT:
        _add_own(made)
    return made


def _add_own(made: ssl.SSLContext) -> None:
    """Take our certificate and key, which Python reads from files only."""
    # Readable by this user alone, and gone before anything else happens.
    with tempfile.NamedTemporaryFile("w", prefix="stockroom-") as file:
        file.write(f"{_pem(settings.KAFKA_CLIENT_CERT)}\n{_pem(settings.KAFKA_CLIENT_CERT_KEY)}\n")
        file.flush()
        try:
            # Without a password OpenSSL would ask for that of a locked key on the terminal.
            made.load_cert_chain(file.name, password="")
        except OSError as error:
            raise UnusableCertificate(
                "KAFKA_CLIENT_CERT and KAFKA_CLIENT_CERT_KEY can't be used:"
                f" {_reason(error)}. Both are PEM texts, the key without a password."
            ) from error


def _pem(text: str) -> str:
    """Variables of one line have their line breaks written as a backslash and an n."""
    return text.replace("\\n", "\n")


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return str(reason).replace("_", " ").lower()
