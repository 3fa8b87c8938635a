"""The guard of addresses, against what tricks there are."""

import asyncio
import socket
import threading
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.services.waiting import finished
from tests.webhooks.names import known_names
from webhooks.engine import addresses
from webhooks.engine.addresses import (
    Policy,
    Refused,
    Target,
    Unresolved,
    check_address,
    check_at_save,
    check_url,
    resolve,
)

STRICT = Policy()
OPEN = Policy(allow_http=True, ports=frozenset())


@pytest.fixture
def names(monkeypatch):
    return known_names(monkeypatch)


@pytest.mark.parametrize(
    "url, target, header",
    [
        ("https://example.com", ("https", "example.com", 443, "/"), "example.com"),
        ("HTTPS://Example.COM./A?b=c", ("https", "example.com", 443, "/A?b=c"), "example.com"),
        ("https://example.com?b=/c", ("https", "example.com", 443, "/?b=/c"), "example.com"),
        ("https://a_b.xn--bcher-kva.example:8443/x", None, "a_b.xn--bcher-kva.example:8443"),
        ("https://example.com/a@b:c//d", ("https", "example.com", 443, "/a@b:c//d"), "example.com"),
        ("http://example.com", ("http", "example.com", 80, "/"), "example.com"),
        ("http://example.com:443/", ("http", "example.com", 443, "/"), "example.com:443"),
        ("https://8.8.8.8/", ("https", "8.8.8.8", 443, "/"), "8.8.8.8"),
        ("https://[2606:4700::0:1111]:9/", ("https", "2606:4700::1111", 9, "/"), None),
        ("https://" + "a." * 100 + "example/", None, "a." * 100 + "example"),
    ],
)
def test_it_takes_urls_apart(url: str, target: tuple | None, header: str | None):
    found = check_url(url, OPEN)
    if target is not None:
        assert found == Target(*target)
    assert found.host_header == (header or "[2606:4700::1111]:9")


@pytest.mark.parametrize(
    "url, reason",
    [
        ("http://example.com/", "must begin with https://"),
        ("ftp://example.com/", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "must begin with https://"),
        ("example.com/hook", "not a URL"),
        ("//example.com/hook", "not a URL"),
        ("https:example.com", "not a URL"),
        ("", "not a URL"),
        ("https://", "no host"),
        ("https:///hook", "no host"),
        ("https://:443/", "no host"),
        ("https://./", "no host"),
        ("https://user:secret@example.com/", "user name or password"),
        ("https://example.com@127.0.0.1/", "user name or password"),
        ("https://@example.com/", "user name or password"),
        ("https://example.com#@127.0.0.1/", "after #"),
        ("https://example.com/#", "after #"),
        ("https://example.com\\@127.0.0.1/", "backslash"),
        ("https://example.com/a b", "a space"),
        (" https://example.com/", "a space"),
        ("https://example.com/\n", "control character"),
        ("https://example.com/\r\nHost: x", "control character"),
        ("https://example.com/\0", "control character"),
        ("https://example.com/ä", "percent-encoded"),
        ("https://bücher.example/", "xn--"),
        ("https://ｅxample.com/", "xn--"),
        ("https://127。0。0。1/", "xn--"),
        ("https://①②⑦.0.0.1/", "xn--"),
        ("https://example.com:80/", "Port 80 is not permitted, only 443, 8443"),
        ("https://example.com:22/", "Port 22 is not permitted"),
        ("https://example.com:6379/", "Port 6379 is not permitted"),
        ("https://example.com:0/", "not a port"),
        ("https://example.com:65536/", "not a port"),
        ("https://example.com:-1/", "not a port"),
        ("https://example.com:/", "not a port"),
        ("https://example.com:443:443/", "not a port"),
        ("https://example.com:４４３/", "xn--"),
        ("https://::1/", "no host"),
        ("https://fe80::1/", "not a port"),
        ("https://[::1/", "not an IPv6 address"),
        ("https://[example.com]/", "not an IPv6 address"),
        ("https://[::1]x/", "not a port"),
        ("https://[fe80::1%25eth0]/", "zone"),
        ("https://[2606:4700::1111%eth0]/", "zone"),
        ("https://exa%6dple.com/", "not the name"),
        ("https://127%2e0%2e0%2e1/", "not the name"),
        ("https://example..com/", "not the name"),
        ("https://-example.com/", "not the name"),
        ("https://example.com,127.0.0.1/", "not an IPv4 address"),
        ("https://" + "a" * 64 + ".com/", "not the name"),
        ("https://" + "a." * 130 + "com/", "not the name"),
        ("https://example.com/" + "a" * 2000, "more than 2,000"),
        # Forms of 127.0.0.1 and others that clients read, each in its way.
        ("https://127.1/", "four decimal numbers"),
        ("https://127.0.1/", "four decimal numbers"),
        ("https://2130706433/", "four decimal numbers"),
        ("https://0x7f000001/", "four decimal numbers"),
        ("https://0X7F.0.0.1/", "four decimal numbers"),
        ("https://0x7f.0x0.0x0.0x1/", "four decimal numbers"),
        ("https://0177.0.0.1/", "four decimal numbers"),
        ("https://017700000001/", "four decimal numbers"),
        ("https://127.0.0.1.1/", "four decimal numbers"),
        ("https://127.0.0.256/", "four decimal numbers"),
        ("https://0/", "four decimal numbers"),
        ("https://0x/", "four decimal numbers"),
        ("https://example.1/", "four decimal numbers"),
        ("https://127.0.0.1/", r"127\.0\.0\.1 is not a public address \(loopback\)"),
        ("https://127.0.0.1./", "loopback"),
        ("https://0.0.0.0/", "unspecified"),
        ("https://169.254.169.254/latest/meta-data/", "link-local"),
        ("https://10.0.0.5/", "private network"),
        ("https://100.100.100.200/", "carrier-grade NAT"),
        ("https://[::1]/", "loopback"),
        ("https://[::]/", "unspecified"),
        ("https://[::ffff:127.0.0.1]/", "loopback"),
        ("https://[::ffff:7f00:1]/", "loopback"),
        ("https://[0:0:0:0:0:ffff:a9fe:a9fe]/", "link-local"),
        ("https://[::127.0.0.1]/", "reserved"),
        ("https://[64:ff9b::a9fe:a9fe]/", "link-local"),
        ("https://[2002:7f00:1::]/", "tunnel"),
        ("https://[fd00:ec2::254]/", "private network"),
    ],
)
def test_it_refuses(url: str, reason: str):
    with pytest.raises(Refused, match=reason):
        check_url(url, STRICT)


def test_a_refusal_of_ports_and_schemes_can_be_lifted():
    assert check_url("http://example.com:6379/", OPEN).port == 6379
    with pytest.raises(Refused, match="http:// or https://"):
        check_url("ws://example.com/", OPEN)


SPECIAL = [  # written anew from IANA's registries: the oracle
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    "168.63.129.16/32",
]
SPECIAL_6 = [
    *("::/96", "100::/64", "64:ff9b:1::/48", "2001::/32", "2001:10::/28", "2001:20::/28"),
    *("2001:2::/48", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16"),
    *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "::1/128"),
]


def within(networks: list[str], kind: type) -> st.SearchStrategy:
    """Addresses in the networks, their ends among them."""

    def of(text: str) -> st.SearchStrategy:
        network = ip_network(text)
        first, last = int(network[0]), int(network[-1])
        return st.sampled_from([first, last]) | st.integers(first, last)

    return st.sampled_from(networks).flatmap(of).map(kind)


special_4 = within(SPECIAL, IPv4Address)
special_6 = within(SPECIAL_6, IPv6Address)


@given(special_4)
def test_special_ipv4_is_refused_in_all_forms(address: IPv4Address):
    number = int(address)
    forms = [
        str(address),
        f"::ffff:{address}",
        str(IPv6Address((0xFFFF << 32) | number)),
        f"::{address}",
        str(IPv6Address((0x64_FF9B << 96) | number)),  # NAT64
        str(IPv6Address((0x64_FF9B_0001 << 80) | number)),
        str(IPv6Address((0x2002 << 112) | (number << 80))),  # 6to4
        str(IPv6Address((0x2001_0000 << 96) | (number ^ 0xFFFFFFFF))),  # Teredo
    ]
    for form in forms:
        with pytest.raises(Refused, match="is not a public address"):
            check_address(form, STRICT)


@given(special_6)
def test_special_ipv6_is_refused(address: IPv6Address):
    with pytest.raises(Refused, match="is not a public address"):
        check_address(str(address), STRICT)


@given(st.ip_addresses())
def test_it_is_at_least_as_strict_as_python(address: IPv4Address | IPv6Address):
    try:
        check_address(str(address), STRICT)
    except Refused:
        return
    inner = address
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address
        if address in ip_network("64:ff9b::/96"):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
    assert inner.is_global and not inner.is_multicast and not inner.is_reserved
    assert not inner.is_loopback and not inner.is_link_local and not inner.is_private


@pytest.mark.parametrize(
    "ip",
    [
        *("8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0"),
        *("2606:4700::1111", "2001:200::1", "2a00::1", "::ffff:8.8.8.8", "64:ff9b::808:808"),
    ],
)
def test_public_addresses_are_permitted(ip: str):
    check_address(ip, STRICT)


def test_networks_of_the_policy_are_reached_in_every_form_but_no_others():
    policy = Policy(networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
    for ip in ("127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"):
        check_address(ip, policy)
    assert check_url("https://127.0.0.1/", policy).host == "127.0.0.1"
    for ip in ("10.0.0.1", "::2", "::ffff:10.0.0.1", "0.0.0.0", "169.254.169.254"):
        with pytest.raises(Refused):
            check_address(ip, policy)
    with pytest.raises(Refused, match="Port 6379"):
        check_url("https://127.0.0.1:6379/", policy)


def test_the_settings_make_the_policy(settings):
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_PORTS = []
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("10.1.0.0/16")]
    assert Policy.from_settings() == Policy(True, frozenset(), (ip_network("10.1.0.0/16"),))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "ip6-localhost.example"])
def test_local_names_are_refused_at_save(names, host: str):
    names["ip6-localhost.example"] = ["::1"]
    with pytest.raises(Refused, match=r"localhost.*: \S+ is not a public address \(loopback\)"):
        check_at_save(f"https://{host}/", STRICT)


@pytest.mark.parametrize(
    "found",
    [
        ["10.0.0.5"],
        ["169.254.169.254"],
        ["::ffff:10.0.0.5"],
        ["fe80::1"],
        ["8.8.8.8", "10.0.0.5"],  # rebinding by two addresses
        ["10.0.0.5", "8.8.8.8"],
    ],
)
def test_a_name_with_a_private_address_is_refused(names, found: list[str]):
    names["hooks.example"] = found
    with pytest.raises(Refused, match=r"hooks.example: .* is not a public address"):
        check_at_save("https://hooks.example/", STRICT)
    with pytest.raises(Refused, match=r"hooks.example: .* is not a public address"):
        finished(resolve("hooks.example", 443, STRICT))


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1"])
def test_the_system_reads_odd_numbers_as_loopback_which_is_refused(host: str):
    with pytest.raises(Refused, match="loopback"):
        finished(resolve(host, 443, STRICT))


def test_resolved_addresses_keep_their_order_once(names):
    names["hooks.example"] = ["2606:4700::1111", "8.8.8.8", "2606:4700::1111"]
    found = finished(resolve("hooks.example", 443, STRICT))
    assert found == [(socket.AF_INET6, "2606:4700::1111"), (socket.AF_INET, "8.8.8.8")]


def test_a_name_without_address_may_be_saved_but_not_used(names):
    names["hooks.example"] = []
    assert "hooks.example does not resolve" in check_at_save("https://hooks.example/", STRICT)
    with pytest.raises(Unresolved, match=r"hooks.example does not resolve: Name or service"):
        finished(resolve("hooks.example", 443, STRICT))


def test_a_name_server_that_hangs_holds_up_neither_form_nor_loop(monkeypatch):
    """Had they waited for it, it would have given them a refused address."""
    answered = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        if host == "hangs.example":
            answered.wait(30)
            host = "127.0.0.1"
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(addresses, "SAVE_SECONDS", 0.05)

    async def others_meanwhile() -> None:
        hanging = asyncio.create_task(resolve("hangs.example", 443, STRICT))
        assert await resolve("8.8.8.8", 443, STRICT) == [(socket.AF_INET, "8.8.8.8")]
        assert not hanging.done()
        hanging.cancel()

    try:
        check_at_save("https://hangs.example/", STRICT)
        finished(others_meanwhile())
    finally:
        answered.set()
