"""Which addresses webhooks may go to: the guard against requests into our own network.

Used when an endpoint is saved (`check_at_save`) and again for each attempt (`check_url`, then
`resolve` in connection.py). One parse serves the check, the connection and the Host header, so
that no two parsers can disagree about the host. Pure but for `resolve` and `check_at_save`.
"""

import asyncio
import re
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Self

from django.conf import settings

MAX_URL_CHARACTERS = 2_000
SAVE_SECONDS = 2.0  # a name that takes longer to resolve is accepted when saved
DEFAULT_PORTS = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Found = list[tuple[socket.AddressFamily, str]]

# IANA's special-purpose registries, and what else no receiver has. Written out instead of
# `is_global`, which differs between releases of Python and holds for multicast.
SPECIAL = {
    ip_network(network): kind
    for kind, networks in {
        "unspecified": "0.0.0.0/8 ::/128",
        "loopback": "127.0.0.0/8 ::1/128",
        "private network": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
        "link-local": "169.254.0.0/16 fe80::/10",
        "carrier-grade NAT": "100.64.0.0/10",
        "cloud platform": "168.63.129.16/32",  # Azure's, seen from inside only
        "protocol assignments": "192.0.0.0/24 2001::/23",  # with Teredo
        "tunnel": "192.88.99.0/24 2002::/16 64:ff9b:1::/48",  # 6to4, NAT64 of one's own
        "benchmarks": "198.18.0.0/15",
        "documentation": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
        "multicast": "224.0.0.0/4 ff00::/8",
        "reserved": "240.0.0.0/4",
    }.items()
    for network in networks.split()
}
GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA has given out
NAT64 = IPv6Network("64:ff9b::/96")  # how networks without IPv4 reach it, RFC 6052

URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?", re.IGNORECASE)
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Of our own, since a name server that hangs holds a thread for up to half a minute; so many that
# the endpoints of a dozen such servers, before their circuits open, leave some to the others.
_lookups = ThreadPoolExecutor(max_workers=256, thread_name_prefix="webhook-dns")


class Refused(Exception):
    """No webhook goes there; `str()` says why in plain words, for pages and the log."""


class Unresolved(Exception):
    """A name without address; `str()` says so in plain words."""


@dataclass(frozen=True)
class Policy:
    """`ports` empty: any. Addresses in `networks` are reached although they are not public."""

    allow_http: bool = False
    ports: frozenset[int] = frozenset({443, 8443})
    networks: tuple[Network, ...] = ()

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            allow_http=settings.WEBHOOK_ALLOW_HTTP,
            ports=frozenset(settings.WEBHOOK_PORTS),
            networks=tuple(settings.WEBHOOK_ALLOWED_NETWORKS),
        )


ANYWHERE = Policy(True, frozenset(), (ip_network("0.0.0.0/0"), ip_network("::/0")))


@dataclass(frozen=True)
class Target:
    """A URL taken apart: `host` in lower case without brackets and final dot, `path` with query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def check_url(url: str, policy: Policy) -> Target:
    """The parts of a URL that the policy permits, a name's addresses apart. Raises Refused.

    Stricter than RFC 3986 where clients read differently: no user, no fragment, no backslash, no
    IPv6 zone, no IPv4 address but four decimal numbers.
    """
    if len(url) > MAX_URL_CHARACTERS:
        raise Refused(f"The URL has more than {MAX_URL_CHARACTERS:,} characters.")
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise Refused("The URL has a space, a backslash or a control character.")
    parts = URL.fullmatch(url)
    if parts is None:
        raise Refused("This is not a URL that begins with https://, like https://example.com/hook.")
    scheme, authority, path, fragment = parts[1].lower(), parts[2], parts[3], parts[4]
    if scheme not in DEFAULT_PORTS or (scheme == "http" and not policy.allow_http):
        allowed = "http:// or https://" if policy.allow_http else "https://"
        raise Refused(f"The URL must begin with {allowed}.")
    if fragment is not None:
        raise Refused("The URL has a part after #, which is never sent. Leave it out.")
    if "@" in authority:
        raise Refused("The URL has a user name or password. Put a secret into its path instead.")
    host, port = _host_and_port(authority, DEFAULT_PORTS[scheme])
    if policy.ports and port not in policy.ports:
        allowed = ", ".join(map(str, sorted(policy.ports)))
        raise Refused(f"Port {port} is not permitted, only {allowed}.")
    if not path.isascii():
        raise Refused("The path has characters that must be percent-encoded, like %C3%A4.")
    if (address := _literal(host)) is not None:
        check_address(str(address), policy)
    return Target(scheme, host, port, path if path.startswith("/") else f"/{path}")


def origin(url: str) -> str:
    """scheme://host:port of a URL, the default port left out. Raises Refused for what is no URL."""
    target = check_url(url, ANYWHERE)
    return f"{target.scheme}://{target.host_header}"


def _host_and_port(authority: str, default: int) -> tuple[str, int]:
    if not authority.isascii():
        raise Refused("The host has letters outside ASCII. Give its form that begins with xn--.")
    if authority.startswith("["):
        inside, bracket, rest = authority[1:].partition("]")
        if "%" in inside:
            raise Refused("The IPv6 address has a zone, which only means something here.")
        literal = _literal(inside) if bracket else None
        if not isinstance(literal, IPv6Address):
            raise Refused(f"[{inside}{bracket} is not an IPv6 address.")
        host = str(literal)
    else:
        name, colon, number = authority.partition(":")
        host, rest = _name(name.lower()), colon + number
    if not rest:
        return host, default
    if re.fullmatch(r":[0-9]{1,5}", rest) and 0 < (port := int(rest[1:])) < 65536:
        return host, port
    raise Refused("What follows the host is not a port from 1 to 65535.")


def _name(host: str) -> str:
    host = host.removesuffix(".")
    if not host:
        raise Refused("The URL has no host.")
    labels = host.split(".")
    # Clients read 127.1, 0x7f000001, 2130706433 and 0177.0.0.1 as addresses, each in its way.
    if NUMERIC.fullmatch(labels[-1]) and _literal(host) is None:
        raise Refused(f"{host} is not an IPv4 address: write four decimal numbers.")
    if len(host) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise Refused(f"{host[:100]} is not the name of a host.")
    return host


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def check_address(ip: str, policy: Policy) -> None:
    """Raises Refused unless `ip` is public or in one of the policy's networks.

    For IPv4 inside IPv6 (mapped, or NAT64's 64:ff9b::/96) the IPv4 address decides.
    """
    address = ip_address(ip)
    inner = _ipv4_inside(address) or address
    if any(address in network or inner in network for network in policy.networks):
        return
    kind = next((kind for network, kind in SPECIAL.items() if inner in network), None)
    if kind is None and inner.version == 6 and inner not in GLOBAL_UNICAST:
        kind = "reserved"
    if kind is not None:
        raise Refused(f"{address} is not a public address ({kind}).")


def _ipv4_inside(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped


async def resolve(host: str, port: int, policy: Policy) -> Found:
    """The host's addresses in the resolver's order, all of them checked.

    Raises Refused if a single one is not permitted, since a name with a public and a private
    address is a trick; Unresolved if there is none.
    """
    return _checked(host, await asyncio.wrap_future(_look_up(host, port)), policy)


def check_at_save(url: str, policy: Policy) -> str:
    """`check_url`, and the addresses of its host if they are known within SAVE_SECONDS.

    Raises Refused. A name that does not resolve (yet) is accepted; returns this as a warning.
    """
    target = check_url(url, policy)
    lookup = _look_up(target.host, target.port)
    try:
        _checked(target.host, lookup.result(SAVE_SECONDS), policy)
    except Unresolved:
        return f"{target.host} does not resolve at present. Is it spelled right?"
    except TimeoutError:
        lookup.cancel()
    return ""


def _look_up(host: str, port: int) -> "Future[Found]":
    if _literal(host) is None:
        return _lookups.submit(_addresses, host, port)
    known: Future[Found] = Future()
    known.set_result(_addresses(host, port))  # asks nobody
    return known


def _addresses(host: str, port: int) -> Found:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise Unresolved(f"{host} does not resolve: {error.strerror}.") from error
    return list(dict.fromkeys((family, str(address[0])) for family, *_, address in found))


def _checked(host: str, found: Found, policy: Policy) -> Found:
    if not found:
        raise Unresolved(f"{host} does not resolve: no address.")
    for _, ip in found:
        try:
            check_address(ip, policy)
        except Refused as refusal:
            raise Refused(str(refusal) if ip == host else f"{host}: {refusal}") from None
    return found
