"""Lines of every form, and those that are no event: refused with their raw text, never a crash."""

import warnings

import pytest

from tests.stocksync.engine.running import Result, created, sync

ENDED = '"type": "ProductEnded", "id": 1, "timestamp": 5'
LINE = b"{" + ENDED.encode() + b"}"
BOM = b"\xef\xbb\xbf"
FIRST = created(1, 5, 1)  # what LINE ends


def written(fields: str) -> bytes:
    return f"{{{fields}}}".encode()


ACCEPTED = {
    "JSON": LINE,
    "JSON without spaces": LINE.replace(b" ", b""),
    "spaces and tabs around": b" \t " + LINE + b"\t ",
    "a carriage return at the end": LINE + b"\r",
    "a carriage return between tokens": LINE.replace(b", ", b",\r"),
    "a comment behind JSON": LINE + b" // ended",
    "a comment right behind JSON": LINE + b"//",
    "a comment that begins once more": LINE + b" // a // b {\"'",
    "a comment full of brackets": LINE + b" // " + b"[" * 500,
    "a comment in another alphabet": LINE + " // zażółć ☃".encode(),
    "keys in another order": written('"timestamp": 5, "type": "ProductEnded", "id": 1'),
    "escapes in keys and type": written(
        r'"\u0074ype": "Product\u0045nded", "\u0069d": 1, "timestamp": 5'
    ),
    "minus 0": written('"type": "ProductEnded", "id": 1, "timestamp": -0'),
    "the largest number": written(f'"type": "ProductEnded", "id": 1, "timestamp": {2**63 - 1}'),
    "an unknown key": written(ENDED + ', "sender": "shop"'),
    "a slash-slash in a string": written(ENDED + ', "url": "http://shop // \\" // x"'),
    "an unknown key with an object": written(ENDED + ', "by": {"name": [1, {"x": null}]}'),
    "an unknown key with a float": written(ENDED + ', "x": -1.5e3'),
    "an unknown key with a number of 5,000 digits": written(ENDED + ', "x": 1' + "0" * 5000),
    "an unknown key with the name of nothing": written(ENDED + ', "": ""'),
    "an unknown key with a lone surrogate": written(ENDED + r', "\ud800": "\udfff"'),
    "an unknown key with NUL": written(ENDED + r', "\u0000": "\u0000"'),
    "an unknown key with any text": written(ENDED + ', "名": "\u2028\U0001f4be"'),
    "another event's field, wrong": written(ENDED + ', "stock": "x", "parent_id": -1'),
    "nested in an unknown key": written(ENDED + ', "x": ' + "[" * 50 + "]" * 50),
    "brackets in a string": written(ENDED + ', "x": "' + "[" * 500 + '"'),
    "single quotes": b"{'type': 'ProductEnded', 'id': 1, 'timestamp': 5}",
    "single and double quotes": b"{'type': \"ProductEnded\", \"id\": 1, 'timestamp': 5}",
    "None in double quotes": written(ENDED + ', "x": None'),
    "True and False": b"{'type': 'ProductEnded', 'id': 1, 'timestamp': 5, 'a': True, 'b': False}",
    "a comma at the end of a literal": b"{'type': 'ProductEnded', 'id': 1, 'timestamp': 5,}",
    "a literal without spaces": b"{'type':'ProductEnded','id':1,'timestamp':5}//",
    "a literal with spaces": b"\t{ 'type' : 'ProductEnded' , 'id' : 1 , 'timestamp' : 5 } \r",
    "a literal with a comment": b"{'type': 'ProductEnded', 'id': 1, 'timestamp': 5} // it's",
    "a literal with slash-slash": b"{'type':'ProductEnded', 'id': 1, 'timestamp': 5, 'u': '//'}//'",
    "a literal with escapes": rb"{'\x74ype': 'Product\u0045nded', 'id': 1, 'timestamp': 5}",
    "a literal with an escape of no meaning": (
        rb"{'type': 'ProductEnded', 'id': 1, 'timestamp': 5, 'x': '\d\''}"
    ),
    "a literal with brackets in a string": (
        b"{'type': 'ProductEnded', 'id': 1, 'timestamp': 5, 'x': '" + b"[" * 500 + b"'}"
    ),
    "a literal with any text": (
        "{'type': 'ProductEnded', 'id': 1, 'timestamp': 5, '名': '☃\t\u2028'}".encode()
    ),
}


@pytest.mark.parametrize("line", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted_lines(line):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = sync(FIRST + line + b"\n")
    assert result.rejects == []
    assert result.counts["applied"] == 2
    decision = result.decisions[1]
    assert (decision.kind, decision.product_id) == ("ProductEnded", 1)


SKIPPED = {
    "blank": (b"", "blank"),
    "spaces": (b"  \t ", "blank"),
    "a lone carriage return": (b"\r\r", "blank"),
    "a comment": (b"// incorrect event", "comments"),
    "an empty comment": (b"//", "comments"),
    "a comment behind spaces": (b" \t// {", "comments"),
    "a comment that is not UTF-8": (b"// \xff\x00", "comments"),
}


@pytest.mark.parametrize(("line", "kind"), SKIPPED.values(), ids=SKIPPED.keys())
def test_skipped_lines(line, kind):
    counts = sync(FIRST + line + b"\n" + LINE + b"\n").counts
    assert (counts["lines"], counts["events"], counts["applied"]) == (3, 2, 2)
    assert counts[kind] == 1
    assert counts["blank"] + counts["comments"] == 1


MALFORMED = {
    "words": b"hello",
    "a number": b"1",
    "null": b"null",
    "None": b"None",
    "a string": b'"x"',
    "an array": b"[" + LINE + b"]",
    "an array of a literal": b"[{'type': 'ProductEnded', 'id': 1, 'timestamp': 5}]",
    "two objects": LINE + b" " + LINE,
    "text behind": LINE + b" x",
    "one slash behind": LINE + b" / x",
    "a hash behind": LINE + b" # x",
    "a comma behind": LINE + b",",
    "a bracket too much": LINE + b"}",
    "a bracket too few": LINE[:-1],
    "a comma too much in JSON": b'{,"type": "ProductEnded", "id": 1, "timestamp": 5}',
    "two commas": b"{'type': 'ProductEnded',, 'id': 1, 'timestamp': 5}",
    "no comma": b"{'type': 'ProductEnded' 'id': 1, 'timestamp': 5}",
    "a comment inside": b'{"type": "ProductEnded", // x',
    "a block comment": b"/* x */ " + LINE,
    "a string that does not end": b'{"type": "Product',
    "a literal that does not end": b"{'type': 'Product",
    "a literal whose string ends with a backslash": b"{'type': 'x\\'}",
    "keys without quotes": b"{type: 'ProductEnded', id: 1, timestamp: 5}",
    "numbers as keys": b"{'type': 'ProductEnded', 'id': 1, 'timestamp': 5, 1: 1}",
    "null in single quotes": b"{'type': 'ProductEnded', 'id': 1, 'timestamp': 5, 'x': null}",
    "a set": b"{'type', 'id'}",
    "nested in a literal": b"{'type': 'ProductEnded', 'id': 1, 'timestamp': 5, 'x': [1]}",
    "two strings in a row": b"{'type': 'Product' 'Ended', 'id': 1, 'timestamp': 5}",
    "three quotes": b"{'type': '''ProductEnded''', 'id': 1, 'timestamp': 5}",
    "bytes as text": b"{'type': b'ProductEnded', 'id': 1, 'timestamp': 5}",
    "a call": b"__import__('os').abort()",
    "a call in a literal": b"{'type': exit(), 'id': 1, 'timestamp': 5}",
    "a half escape": rb"{'type': '\x4', 'id': 1, 'timestamp': 5}",
    "an escape of no meaning in JSON": rb'{"type": "\x", "id": 1, "timestamp": 5}',
    "NaN in an unknown key": written(ENDED + ', "x": NaN'),
    "Infinity in an unknown key": written(ENDED + ', "x": [-Infinity]'),
    "a NUL byte": b"\0",
    "NUL behind": LINE + b"\0",
    "NUL in a string": b'{"type": "ProductEnded\0", "id": 1, "timestamp": 5}',
    "NUL in a literal": b"{'type': 'ProductEnded\0', 'id': 1, 'timestamp': 5}",
    "a byte order mark in the middle": BOM + LINE,
    "spaces that are none": "\u00a0".encode() + LINE,
    "UTF-16": None,  # below
    "a nested array": b"[" * 30_000 + b"]" * 30_000,
    "a nested object": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "an array that is only opened": b"[" * 65_000,
    "an object that is only opened": b'{"a":' * 13_000,
    "opened in a string that does not end": b"[" * 200 + b'"' + b'\\"' * 32_000,
    "nested in an unknown key": written(ENDED + ', "x": ' + "[" * 30_000 + "]" * 30_000),
    "nested in the type": b'{"type": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "a nested tuple": b"(" * 30_000 + b")" * 30_000,
    "nested in a literal too deep": b"{'a': " + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "nested literals": b"{'a': " * 9_000 + b"1" + b"}" * 9_000,
    "a row of signs": b"{'a': " + b"-" * 60_000 + b"1}",
    "a row of additions": b"{'a': 1" + b"+1" * 30_000 + b"}",
    "a row of powers": b"{'a': 9**9**9**9}",
    "a row of backslashes": b"{'a': '" + b"\\" * 60_001 + b"'}",
    "a row of quotes": b"{" + b"'" * 60_000,
    "a row of spaces": b"{'a'" + b" " * 60_000 + b"x",
}
MALFORMED["UTF-16"] = '{"a": 1}'.encode("utf-16-be")


@pytest.mark.parametrize("line", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_lines(line):
    result = sync(FIRST + line + b"\n" + LINE)
    [reject] = result.rejects
    assert (reject["line"], reject["code"]) == (2, "malformed")
    assert reject["reason"]
    assert reject["raw"] == line.decode()
    assert result.counts["applied"] == 2


BYTES = {
    "a lone byte": (b"\xff", r"\xff"),
    "Latin-1 in a string": ('{"type": "Ü"}'.encode("latin-1"), r'{"type": "\xdc"}'),
    "half a character": ("☃".encode()[:2] + b"x", r"\xe2\x98x"),
    "an encoded surrogate": (b'{"type": "\xed\xa0\x80"}', r'{"type": "\xed\xa0\x80"}'),
    "too many bytes for a character": (b"\xc0\xaf \xc3\xa9", "\\xc0\\xaf é"),
    "UTF-16 with its mark": ('{"a": 1}'.encode("utf-16"), None),
}


@pytest.mark.parametrize(("line", "raw"), BYTES.values(), ids=BYTES.keys())
def test_lines_that_are_not_utf8(line, raw):
    [reject] = sync(FIRST + line + b"\n" + LINE).rejects
    assert (reject["line"], reject["code"]) == (2, "not_utf8")
    assert reject["raw"] == (raw or line.decode("utf-8", "backslashreplace"))


def test_how_deep_values_may_be_nested_does_not_depend_on_the_caller():
    """The interpreter's own limit leaves less to callers that are deep themselves."""
    nested = [written(ENDED + ', "x": ' + "[" * levels + "]" * levels) for levels in range(1, 1000)]
    data = FIRST + b"\n".join(nested)

    def deeper(calls: int) -> Result:
        return sync(data) if calls == 0 else deeper(calls - 1)

    result = sync(data)
    assert 0 < len(result.rejects) < len(nested)
    assert deeper(500) == result
