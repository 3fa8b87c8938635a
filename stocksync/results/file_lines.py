"""Lines of a stored file by byte offset: pages of files that are too long to be read whole."""

from dataclasses import dataclass
from uuid import UUID

from stocksync.jobs import files


@dataclass(frozen=True)
class FileLines:
    """A file whose lines all end, read `reach` bytes at a time. All raise files.FileGone."""

    file_id: UUID
    size: int  # of the file, in bytes
    reach: int
    longest: int  # bytes of a line with its end

    def begin(self, at: int) -> int | None:
        """Where the first line begins that does so at byte `at` or after; None: none does."""
        if at <= 0:
            return 0 if self.size else None
        if at >= self.size:
            return None
        if files.read(self.file_id, at - 1, at) == b"\n":
            return at
        found = self._read(at, at + self.longest).find(b"\n")
        return at + found + 1 if 0 <= found < self.size - at - 1 else None

    def following(self, start: int) -> list[tuple[int, bytes]]:
        """The line that begins at `start` and those behind it within reach, with their offsets."""
        data = self._read(start, start + self.reach)
        if b"\n" not in data:
            data = self._read(start, start + self.longest)
        found = []
        *lines, _ = data.split(b"\n")
        for line in lines:
            found.append((start, line))
            start += len(line) + 1
        return found

    def back(self, offset: int, most: int) -> int:
        """Where the `most` lines, or fewer, begin that are within reach before the one at `offset`.

        At least one, but for `offset` 0.
        """
        lines = self._before(offset, self.reach)
        if not lines:
            lines = self._before(offset, self.longest)
        return offset - sum(len(line) + 1 for line in lines[-most:])

    def _before(self, offset: int, reach: int) -> list[bytes]:
        start = max(0, offset - reach - 1)
        lines = self._read(start, offset).split(b"\n")[:-1]
        return lines[1:] if start else lines  # the first may be cut

    def _read(self, start: int, end: int) -> bytes:
        return files.read(self.file_id, start, min(end, self.size))
