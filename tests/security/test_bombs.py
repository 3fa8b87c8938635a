"""Requests that are small to send and large to take, on the real web process: refused, and cheap.

What a reader of files does with them is tested where it is: tests/products/imports/test_csv_rows.py
and tests/stocksync/engine/test_files.py; heads and slow bodies in tests/web.
"""

import gzip
import json
import zlib

import pytest

from products.imports.csv_rows import Carry, FileError, parse_part

from .conftest import MIB, Secured

# What a body of 2 MiB may take while it is read. Python makes some 50 MiB out of 2 MiB of `[],`.
MOST_BYTES = 160 * MIB
BOUNDARY = "bomb"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture
def cheap(secured: Secured):
    """`secured`, whose worker must not have held much more than before once the test is over."""
    assert secured.api("GET", "/api/products/").status_code == 200  # all is loaded
    before = secured.server.worker.memory_info().rss
    worker = secured.server.worker.pid
    secured.forget_peak()
    yield secured
    assert secured.server.worker.pid == worker, "the worker was replaced"
    assert secured.peak_bytes() - before < MOST_BYTES
    assert secured.api("GET", "/api/products/").status_code == 200


def part(name: str, body: bytes = b"", file: str = "", more: bytes = b"") -> bytes:
    """One part of a multipart form."""
    named = f'; filename="{file}"' if file else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n'
    return head.encode() + more + b"\r\n" + body + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
BODY_BYTES = 2 * MIB - 100

JSON_BOMBS = {
    "deep lists": b"[" * BODY_BYTES,
    "deep objects": b'{"a":' * (BODY_BYTES // 5),
    "deep and whole": b"[" * (MIB - 100) + b"]" * (MIB - 100),
    "deep in a field": b'{"sku":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "many lists": b"[" + b"[]," * (BODY_BYTES // 3 - 1) + b"[]]",
    "many objects": b"[" + b"{}," * (BODY_BYTES // 3 - 1) + b"{}]",
    "a million digits": b'{"sku":' + b"9" * MIB + b"}",
    "a million digits behind a point": b'{"name":"x","sku":[0.' + b"9" * MIB + b"]}",
    "many names": b"{" + b",".join(b'"%d":0' % n for n in range(150_000)) + b"}",
    "one long name": b'{"' + b"x" * MIB + b'":1}',
    "one long text": b'{"sku":"' + b"x" * MIB + b'"}',
    "many escapes": b'{"sku":"' + b"\\u0000" * 300_000 + b'"}',
    "half characters": b'{"sku":[' + b'"\\ud800",' * 200_000 + b'"x"]}',
    "not a number": b'{"sku":NaN}',
    "nothing but space": b" " * BODY_BYTES,
}


@pytest.mark.parametrize("body", JSON_BOMBS.values(), ids=JSON_BOMBS.keys())
@pytest.mark.parametrize("path", ["/api/products/", "/api/BuyStock"])
def test_json(cheap, path, body):
    answer = cheap.api("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert len(answer.content) < 64 * 1024


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
def test_nothing_is_unpacked(cheap, pack):
    """No coding of bodies is taken: what is packed is read as it is, so it can't grow."""
    body = pack(json.dumps({"sku": "bomb", "name": "x" * (100 * MIB)}).encode())
    assert len(body) < MIB
    for path, kind in {
        "/api/products/": "application/json",
        "/login/": "application/x-www-form-urlencoded",
        "/api/imports/": MULTIPART,
        "/api/stocksync/jobs/": MULTIPART,
    }.items():
        for coding in ("gzip", "deflate"):
            headers = {"Content-Type": kind, "Content-Encoding": coding}
            assert cheap.api("POST", path, data=body, headers=headers).status_code in (400, 403)


FORMS = {
    "many fields": b"a=&" * (BODY_BYTES // 3),
    "many different fields": b"&".join(b"%d=" % n for n in range(200_000)),
    "one long field": b"a=" + b"x" * (BODY_BYTES - 10),
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS.keys())
def test_forms(cheap, body):
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cheap.cookie}
    assert cheap.ask("POST", "/login/", data=body, headers=headers).status_code in (400, 403)


BASE64 = b"Content-Transfer-Encoding: base64\r\n"
MULTIPARTS = {
    "a million parts": part("a") * 20_000 + END,
    "many files": part("file", b"x", "a.csv") * 20_000 + END,
    "many other files": part("other", b"x", "a.csv") * 20_000 + END,
    "no end": part("file", b"x", "a.csv") * 20_000,
    "one long field": part("a", b"x" * (32 * MIB)) + END,
    "one long head": part("a", b"x", "a.csv", b"X-Long: " + b"x" * (8 * MIB) + b"\r\n") + END,
    "many heads": part("a", b"x", "a.csv", b"X: y\r\n" * 200_000) + END,
    "a long name": part("a" * MIB, b"x", "a.csv") + END,
    "no part at all": b"x" * (32 * MIB),
    "only boundaries": f"--{BOUNDARY}\r\n".encode() * 200_000 + END,
    "only line ends": b"\r\n" * (4 * MIB),
    "almost boundaries": f"\r\n--{BOUNDARY[:-1]}".encode() * 400_000,
    "a bomb in base64": part(
        "file", b"!" * (8 * MIB), "a.csv", b"Content-Transfer-Encoding: base64\r\n"
    ),
}


@pytest.mark.parametrize("body", MULTIPARTS.values(), ids=MULTIPARTS.keys())
@pytest.mark.parametrize("path", ["/api/imports/", "/api/stocksync/jobs/"])
def test_multipart_uploads(cheap, path, body):
    answer = cheap.api("POST", path, data=body, headers={"Content-Type": MULTIPART})
    assert answer.status_code in (400, 413), answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("boundary", ["", "\xe4", '"a b"', "a; boundary=b"])
def test_strange_boundaries(cheap, boundary):
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}".encode("latin-1")}
    for path in ("/api/imports/", "/api/stocksync/jobs/"):
        assert cheap.api("POST", path, data=part("a") + END, headers=headers).status_code == 400


@pytest.mark.parametrize(
    "query",
    ["&".join(["a"] * 20_000), "q=" + "x" * 50_000, "q=" + "%00" * 15_000, "page=" + "9" * 50_000],
    ids=["fields", "search", "nul", "number"],
)
@pytest.mark.parametrize("path", ["/products/", "/api/products/", "/stocksync/"])
def test_long_queries(cheap, path, query):
    headers = {"Cookie": cheap.cookie}
    assert cheap.ask("GET", f"{path}?{query}", headers=headers).status_code in (200, 400)


@pytest.mark.parametrize(
    "length", ["-1", "1.5", "9" * 30, "9" * 5_000, "0x10", "١", "", "+3", "1_000"]
)
def test_tus_takes_no_strange_length(cheap, length):
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": length.encode()}
    assert cheap.api("POST", "/api/uploads/", headers=headers).status_code in (400, 413)


@pytest.mark.parametrize("offset", ["-1", "9" * 30, "9" * 5_000, "x", "", "1"])
def test_tus_takes_no_strange_offset(cheap, offset):
    tus = {"Tus-Resumable": "1.0.0"}
    made = cheap.api("POST", "/api/uploads/", headers={**tus, "Upload-Length": "10"})
    answer = cheap.api(
        "PATCH",
        f"/api/uploads/{made.headers['Location'].rstrip('/').rpartition('/')[2]}/",
        data=b"x",
        headers={**tus, "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream"},
    )
    assert answer.status_code in (400, 409, 413)


@pytest.mark.parametrize(
    "header", [b"sku,name" + b"," * 1_000_000, b"sku,name," + b"x," * 400_000, b"," * 4_000_000]
)
def test_a_million_columns(header):
    """The first line is refused, or each line that does not fit it is."""
    data = header + b"\nA-1,Lamp\n"
    try:
        batch, _ = parse_part(data, Carry(), encoding="utf-8", final=True)
    except FileError as error:
        assert len(str(error)) < 1_000
    else:
        assert batch.rows == [] and batch.errors
