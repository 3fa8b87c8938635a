"""`manage.py import_products FILE`: the same pipeline as the page, with a progress bar."""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from products.imports import pipeline, uploads
from products.models import Import, ImportState

POLL_SECONDS = 0.2  # between looks at an import that a worker has claimed


class Command(BaseCommand):
    help = "Import a CSV file of products (columns sku, name, description). No worker is needed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--encoding", choices=list(uploads.ENCODINGS), default="utf-8")
        parser.add_argument("--inactive", action="store_true", help="new products are inactive")
        parser.add_argument(
            "--check", action="store_true", help="count what would change, then change nothing"
        )
        parser.add_argument("--no-progress", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        self.quiet = options["no_progress"] or options["verbosity"] == 0
        try:
            if path.exists() and not path.is_file():
                raise CommandError(f"{path} is not a regular file.")
            with path.open("rb") as file:
                job = self.create(path, options)
                self.or_cancel(job, self.upload, job, file)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        self.or_cancel(job, self.follow, job)
        if job.state == ImportState.READY:
            pipeline.cancel(job.pk)
            pipeline.advance(job.pk)
            self.stdout.write(
                f"{job.would_create:,} would be created, {job.would_update:,} updated,"
                f" {job.would_keep:,} unchanged; {job.duplicates:,} duplicates in the file,"
                f" {job.rejected:,} rejected. Nothing was changed."
            )
            return
        if job.state != ImportState.DONE:
            raise CommandError(f"Import {job.pk} {job.state}: {job.error}")
        self.stdout.write(
            f"Import {job.pk} done: {job.created:,} created, {job.updated:,} updated,"
            f" {job.unchanged:,} unchanged; {job.duplicates:,} duplicates in the file,"
            f" {job.rejected:,} rejected."
        )
        if job.rejected:
            self.stdout.write(f"The rejected rows and reasons: /imports/{job.pk}/rejects.csv")

    def create(self, path: Path, options: dict[str, Any]) -> Import:
        name = path.name.encode(errors="replace").decode()
        try:
            choices = uploads.ImportOptions(
                options["encoding"], not options["inactive"], options["check"]
            )
            return uploads.create(None, name, path.stat().st_size, choices)
        except uploads.UploadError as error:
            raise CommandError(str(error)) from None

    def or_cancel(self, job: Import, act: Callable[..., None], *arguments: Any) -> None:
        """Do it, or leave nothing behind that goes on without us."""
        try:
            act(*arguments)
        except KeyboardInterrupt:
            self.cancel(job)
            raise CommandError(f"Import {job.pk} was cancelled. {job.error}") from None
        except uploads.UploadError as error:
            self.cancel(job)
            raise CommandError(str(error)) from None
        except (CommandError, OSError):
            self.cancel(job)
            raise

    def cancel(self, job: Import) -> None:
        pipeline.cancel(job.pk)
        pipeline.advance(job.pk)
        job.refresh_from_db()

    def upload(self, job: Import, file: BinaryIO) -> None:
        turn = uploads.take_turn(job.upload_id)
        size = job.upload.size_bytes
        with self.bar(size, "B", "Store") as bar:
            while turn.offset < size:
                block = file.read(min(settings.UPLOAD_BLOCK_BYTES, size - turn.offset))
                if not block:
                    raise CommandError(
                        f"{file.name} became shorter while it was read; nothing was changed."
                    )
                turn = uploads.append(turn, block)
                bar.update(len(block))

    def follow(self, job: Import) -> None:
        """Work on the import, or watch the worker that was faster, until it ends or asks."""
        bars: dict[str, Any] = {}
        while True:
            more = pipeline.advance(job.pk)
            job.refresh_from_db()
            self.show(job, bars)
            if job.ended or job.state == ImportState.READY:
                break
            if not more:
                time.sleep(POLL_SECONDS)
        for bar in bars.values():
            bar.close()

    def show(self, job: Import, bars: dict[str, Any]) -> None:
        read = bars.get("read") or bars.setdefault(
            "read", self.bar(job.upload.size_bytes, "B", "Read")
        )
        read.update(job.read_bytes - read.n)
        if job.duplicates is None:
            return
        checking = job.check_first and job.merge_started_at is None
        done = job.would_create + job.would_update + job.would_keep if checking else job.merged
        label = "Check" if checking else "Merge"
        bar = bars.get(label) or bars.setdefault(
            label, self.bar(job.rows - job.duplicates, " rows", label)
        )
        bar.update(done - bar.n)

    def bar(self, total: int, unit: str, label: str) -> Any:
        return tqdm(total=total, unit=unit, unit_scale=True, desc=label, disable=self.quiet)
