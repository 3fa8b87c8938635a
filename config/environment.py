"""How a variable is read from the environment, and the rules that its value must keep.

Read in this order, the first that names a variable wins: the environment,
`.env` in the project's folder, `var/run.env` (written by a running `make run`,
so that `manage.py` in another terminal finds its engines).
"""

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

from environs import Env, EnvError, ValidationError

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
env.read_env(BASE_DIR / ".env", recurse=False)
STATE_DIR = BASE_DIR / (env.str("STOCKROOM_VAR", "") or "var")
env.read_env(STATE_DIR / "run.env", recurse=False)


def url(name: str, default: str | None = None, *, schemes: tuple[str, ...]) -> str | None:
    """The URL in variable `name`, or `default`; EnvError when its scheme is another."""
    value = env.str(name, default)
    if value and value.split(":", 1)[0] not in schemes:
        raise EnvError(f'Environment variable "{name}" must start with one of: {schemes}')
    return value or None


def known_zone(name: str) -> None:
    """Raise ValidationError when there is no time zone `name`."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # a folder of zones is an OSError
        raise ValidationError(f"There is no time zone {name!r}.") from None


def secret_text(text: str) -> None:
    """Raise ValidationError for a secret that somebody could guess; none is none."""
    if text and not re.fullmatch(r"[!-~]{32,}", text):
        raise ValidationError("It has at least 32 characters: letters, digits and signs.")


def topic_name(name: str) -> None:
    """Raise ValidationError for what Kafka takes as the name of no topic or group."""
    if name in ("", ".", "..") or not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name):
        raise ValidationError(f"{name!r} is no name of a topic.")


def broker_urls(addresses: list[str]) -> None:
    """Raise ValidationError for what is no URL of a Kafka broker."""
    for address in addresses:
        if not re.fullmatch(r"kafka(\+ssl)?://[^/@]+:[0-9]{1,5}", address):
            raise ValidationError("It is no list of kafka:// or kafka+ssl:// addresses.")


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """The networks in variable `name`, e.g. 10.1.0.0/16; EnvError for what is none."""
    try:
        return [ip_network(each) for each in env.list(name, [])]
    except ValueError as error:
        raise EnvError(f'Environment variable "{name}" invalid: {error}') from None


def each(rule: Callable[[float], object]) -> Callable[[list[float]], None]:
    """The rule that `rule` holds for each entry of a list."""

    def check(values: list[float]) -> None:
        for value in values:
            rule(value)

    return check
