"""The file of a backup: a plain tar whose last member, `manifest.json`, says what the others are.

Written by backup.py, read by restore.py. Without its manifest a file is no backup, and it gets its
name only when it is whole and on the disk.
"""

import fcntl
import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

MANIFEST = "manifest.json"
FORMAT = 1
CHUNK_BYTES = 1024 * 1024
PARTIAL = ".partial-"


class BackupError(RuntimeError):
    """No backup could be made, read or restored. The text is for the user and says what to do."""


@dataclass(frozen=True)
class Part:
    """One member of the file: which engine it is of, how long it is, its SHA-256 in hex."""

    name: str
    engine: str
    version: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup holds, and of what it was made."""

    made_at: str  # ISO 8601, UTC
    running: bool  # whether Stockroom was running: then brokers are not in it
    migrations: list[str]  # "app.name" of those that were applied
    parts: list[Part]
    format: int = FORMAT

    def part(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.name == name), None)


class Writer:
    """Writes parts one after another; use `writing`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.parts: list[Part] = []

    def add(self, name: str, engine: str, version: str, chunks: Iterable[bytes]) -> Part:
        """Add a member of a size that is known only once all `chunks` have come."""
        header_at = self._file.tell()
        self._file.write(bytes(tarfile.BLOCKSIZE))
        digest, size = hashlib.sha256(), 0
        for chunk in chunks:
            self._file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        self._file.write(bytes(-size % tarfile.BLOCKSIZE))
        end = self._file.tell()
        self._file.seek(header_at)
        header = tarfile.TarInfo(name)
        header.size, header.mode = size, 0o600
        self._file.write(header.tobuf(tarfile.GNU_FORMAT))  # one block: sizes and names fit
        self._file.seek(end)
        part = Part(name, engine, version, size, digest.hexdigest())
        self.parts.append(part)
        return part

    def finish(self, made_at: str, running: bool, migrations: list[str]) -> Manifest:
        """Add the manifest, the last of all."""
        manifest = Manifest(made_at, running, migrations, list(self.parts))
        self.add(MANIFEST, "", "", [json.dumps(asdict(manifest), indent=1).encode()])
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        return manifest


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """A Writer to `path`, which is there once the block has ended well, and not before.

    Only its owner may read it: passwords are in it. What killed backups left in the folder is
    removed. Raises BackupError where the folder takes no file, or another backup is being made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = (path.parent / ".lock").open("w")
    except OSError as error:
        raise BackupError(f"{path.parent} takes no backup: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(f"Another backup is being made in {path.parent}.") from None
        for left in path.parent.glob(f".*{PARTIAL}*"):
            left.unlink(missing_ok=True)
        if path.exists():
            raise BackupError(f"{path} is there already.")
        making = path.with_name(f".{path.name}{PARTIAL}{os.getpid()}")
        try:
            descriptor = os.open(making, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w+b") as file:
                yield Writer(file)
                file.flush()
                os.fsync(file.fileno())
            making.rename(path)
            _sync_folder(path.parent)
        except OSError as error:  # a full disk, most of all
            raise BackupError(f"No backup: {error}") from error
        finally:
            with suppress(OSError):
                making.unlink(missing_ok=True)


class Reader:
    """A backup that is whole, as far as its manifest tells. Use `reading`."""

    def __init__(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        self._tar = tar
        self.manifest = manifest

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a member. Raises BackupError where there is none, or it can't be read."""
        with self.open(name) as member:
            while chunk := _chunk(name, member):
                yield chunk

    def open(self, name: str) -> IO[bytes]:
        """A member as a file. Raises BackupError where there is none of that name."""
        try:
            member = self._tar.extractfile(name)
        except KeyError:
            member = None
        except (OSError, tarfile.TarError) as error:
            raise BackupError(f"{name} in it can't be read: {error}") from error
        if member is None:
            raise BackupError(f"{name} is missing in it.")
        return member

    def check(self, say: Callable[[str], object]) -> None:
        """Compare each part with its size and SHA-256 in the manifest. Raises BackupError."""
        for part in self.manifest.parts:
            digest, size = hashlib.sha256(), 0
            for chunk in self.chunks(part.name):
                digest.update(chunk)
                size += len(chunk)
            if size != part.bytes or digest.hexdigest() != part.sha256:
                raise BackupError(f"{part.name} in it is damaged. Take another backup.")
            say(f"{part.name}: {size:,} bytes, as they were written")


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """A Reader of the backup at `path`. Raises BackupError where it is none, or not whole.

    What fails in the block is no matter of the file, and is raised as it is.
    """
    with ExitStack() as stack:
        try:
            tar = stack.enter_context(tarfile.open(path, "r:"))
            manifest = _manifest(path, tar)
        except (OSError, tarfile.TarError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BackupError(f"{path} is no backup that can be read: {reason}") from error
        yield Reader(tar, manifest)


def _manifest(path: Path, tar: tarfile.TarFile) -> Manifest:
    try:
        member = tar.extractfile(MANIFEST)
    except KeyError:
        member = None
    if member is None:
        raise BackupError(f"{path} is not whole, or no backup: it has no {MANIFEST}.")
    found: Any = json.load(member)
    version = found.get("format") if isinstance(found, dict) else None
    if version != FORMAT:
        raise BackupError(
            f"{path} has format {version}, this Stockroom reads {FORMAT}: restore it"
            " with the Stockroom that made it, or a newer one."
        )
    try:
        parts = [Part(**part) for part in found["parts"]]
        return Manifest(found["made_at"], found["running"], list(found["migrations"]), parts)
    except (KeyError, TypeError) as error:
        raise BackupError(f"{path} has no {MANIFEST} of make backup's kind: {error!r}") from error


def _chunk(name: str, member: IO[bytes]) -> bytes:
    try:
        return member.read(CHUNK_BYTES)
    except (OSError, tarfile.TarError) as error:
        raise BackupError(f"{name} in it can't be read: {error}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
