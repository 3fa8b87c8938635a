"""Whether `manage.py collectstatic` has anything to do: compressing all files takes seconds."""

import hashlib
from collections.abc import Iterator
from pathlib import Path


class StaticFiles:
    """The static files that `collectstatic` put into a state folder, and what they came from."""

    def __init__(self, project: Path, var_dir: Path) -> None:
        """`<var_dir>/static` is where settings.py has them collected."""
        self._project = project
        self._target = var_dir / "static"
        self._stamp = var_dir / "static.stamp"

    def are_current(self) -> bool:
        """Whether the last collection was made from the files that are there now."""
        return (
            self._target.is_dir()
            and self._stamp.exists()
            and self._stamp.read_text() == self._digest()
        )

    def mark_current(self) -> None:
        """Remember what has just been collected."""
        self._stamp.write_text(self._digest())

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for path in sorted(self._sources()):
            facts = path.stat()
            digest.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def _sources(self) -> Iterator[Path]:
        # Files of packages change with the pins, where they come from with the settings.
        yield from self._project.glob("requirements*.txt")
        yield self._project / "config" / "settings.py"
        for pattern in ("*/static", "*/*/static"):
            for folder in self._project.glob(pattern):
                hidden = folder.relative_to(self._project).parts[0].startswith(".")
                if folder != self._target and not hidden:
                    yield from (path for path in folder.rglob("*") if path.is_file())
