"""Who the client is and how it came, as told by proxies we know. Used by config/asgi.py.

Each proxy appends the address it was called from to X-Forwarded-For. So with one proxy before us
the last entry is its word, and all others are the client's own, which may be lies.
"""

from ipaddress import ip_address

from .wsgi_threads import Scope


def seen_through(scope: Scope, proxies: int) -> Scope:
    """`scope` with the address and scheme that the outermost of `proxies` proxies saw.

    Without proxies, or where they say nothing of use, it stays as the socket has it.
    """
    if not proxies:
        return scope
    seen = dict(scope)
    addresses = _entries(scope, b"x-forwarded-for")
    if len(addresses) >= proxies and (address := _address(addresses[-proxies])):
        seen["client"] = (address, 0)
    schemes = _entries(scope, b"x-forwarded-proto")
    if schemes and schemes[-1].lower() in ("http", "https"):
        seen["scheme"] = schemes[-1].lower()
    return seen


def _entries(scope: Scope, name: bytes) -> list[str]:
    values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return [entry.strip() for entry in ",".join(values).split(",")] if values else []


def _address(entry: str) -> str:
    """The IP address in `entry`, which may have a port; "" when there is none."""
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return str(ip_address(entry))
    except ValueError:
        return ""
