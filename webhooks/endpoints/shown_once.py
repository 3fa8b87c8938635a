"""Secrets on their way to the one page that shows them: kept in the session until then."""

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest

KEY = "webhooks.secrets"  # {endpoint's id as text, or CALLBACKS: secret}
CALLBACKS = "callbacks"  # in place of an id: the one that signs the person's callbacks


def keep(request: HttpRequest, endpoint_id: int | str, secret: str) -> None:
    """Have the endpoint's page show `secret` next time. Called in the transaction that made it.

    Written at once, so that it commits with the secret: a form that is sent twice is answered the
    second time, and that answer's page must find it. Raises SessionInterrupted (400) for who
    signed out meanwhile: nobody would see the secret.
    """
    request.session[KEY] = {**request.session.get(KEY, {}), str(endpoint_id): secret}
    try:
        request.session.save()
    except UpdateError as error:
        raise SessionInterrupted("You signed out meanwhile.") from error
    request.session.modified = False  # the middleware would write it again, after it was shown


def take(request: HttpRequest, endpoint_id: int | str) -> str:
    """The secret to show now, "" where there is none; never again."""
    kept = dict(request.session.get(KEY, {}))
    secret: str = kept.pop(str(endpoint_id), "")
    if secret and kept:
        request.session[KEY] = kept
    elif secret:
        del request.session[KEY]
    return secret
