"""What was refused, as people and programs get to see it. Pure.

Used by dead letters of streams and rejects of the ledger.
"""

PICTURES = {
    code: 0x2400 + code if code < 0x20 else 0x2421
    for code in (*range(0x20), 0x7F)
    if chr(code) not in "\t\n"
}


def text_of(value: bytes, *, cut: bool) -> str | None:
    """The value as text, None where it is not UTF-8. `cut`: whether there was more of it."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        # The last character of what was cut may be half there.
        if cut and error.reason == "unexpected end of data":
            return value[: error.start].decode()
        return None


def shown(value: bytes, text: str | None) -> str:
    """The value for eyes: what is not UTF-8 as \\x…, control characters as pictures."""
    if text is None:
        text = value.decode("utf-8", "backslashreplace")
    return text.translate(PICTURES)
