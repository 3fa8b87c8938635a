"""Bytes, cut anywhere, as lines without their ends."""

from typing import List

from .events import LINE_BYTES

BOM = b"\xef\xbb\xbf"


class Lines:
    """Collects what is fed and hands out whole lines. A lone \\r ends no line.

    Of lines above LINE_BYTES as much is kept as shows that they are too long.
    """

    KEPT = LINE_BYTES + 2  # one too many, whether or not a \r follows

    def __init__(self, rest: bytes = b"", begun: bool = False) -> None:
        self.rest = rest  # of the line whose end has not come yet
        self.begun = begun  # the file's first bytes are over: no BOM any more

    def feed(self, data: bytes) -> List[bytes]:
        """The lines that end in `data`."""
        data = self.rest + data
        if not self.begun:
            if len(data) < len(BOM) and BOM.startswith(data):
                self.rest = data
                return []
            self.begun = True
            if data.startswith(BOM):
                data = data[len(BOM) :]
        lines = data.split(b"\n")
        self.rest = lines.pop()[: self.KEPT]
        return lines

    def finish(self) -> List[bytes]:
        """The last line, where the file does not end with a line's end."""
        rest, self.rest = self.rest, b""
        return [rest] if rest else []
