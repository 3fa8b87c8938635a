"""Files that are there whole or not at all: written beside their place, moved there at the end."""

import errno
import os
import re
import stat
import sys
import tempfile
from contextlib import suppress
from typing import IO, Optional

OPEN_ALREADY = re.compile(r"/dev/stdout|/dev/stderr|(?:/dev/fd|/proc/self/fd)/(\d+)")
NAMED = {"/dev/stdout": 1, "/dev/stderr": 2}


class OutputFile:
    """A file to be written; `-` is standard output. Ends with `commit` or `discard`.

    What is no plain file (a pipe, a device) is written to as it is. Raises OSError.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._part: Optional[str] = None
        self._at = os.path.realpath(path)  # a link stays a link
        try:
            self._file: IO[bytes] = self._open()
        except OSError as error:  # the name of the part says nothing to anybody
            raise OSError(error.errno, error.strerror, path) from None

    def _open(self) -> IO[bytes]:
        if self.path == "-":
            if sys.stdout is None:
                raise OSError(errno.EBADF, "standard output is closed")
            return sys.stdout.buffer
        given = OPEN_ALREADY.fullmatch(self.path)
        if given is not None:  # whoever opened it may have more to say in the same file
            return os.fdopen(os.dup(int(given[1] or NAMED[self.path])), "wb")
        if _is_special(self.path):
            return open(self.path, "wb")
        handle, self._part = tempfile.mkstemp(".part", ".stocksync-", os.path.dirname(self._at))
        return os.fdopen(handle, "wb")

    def write(self, data: bytes) -> None:
        self._file.write(data)
        if self._part is None:
            self._file.flush()  # somebody reads at the other end

    def commit(self) -> None:
        """Put it into its place."""
        self._file.flush()
        if self._part is None:
            if self.path != "-":
                self._file.close()
            return
        os.fsync(self._file.fileno())
        self._file.close()
        os.chmod(self._part, _mode(self._at))
        os.replace(self._part, self._at)
        self._part = None

    def discard(self) -> None:
        """Leave what was at its place before. Does nothing after `commit`."""
        if self._part is not None:
            part, self._part = self._part, None
            with suppress(OSError):  # the disk is full: that is why it is discarded
                self._file.close()
            os.unlink(part)


def _is_special(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _mode(path: str) -> int:
    """The rights of the file that is replaced, else those that a new file gets."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
