"""The tus 1.0.0 resumable upload protocol (https://tus.io/protocols/resumable-upload).

Core with the extensions creation, termination, expiration and checksum, at
/api/uploads/. Runs on the WSGI side: a PATCH is stored block by block as it
arrives, so that a cut request keeps what came.
"""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import http_date
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound, UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from config.api_input import StrictQuery
from products.models import Import, Upload

from . import pipeline, progress, tus_metadata, uploads
from .serializers import UploadListQuery, UploadSerializer
from .tus_errors import (
    VERSION,
    ChecksumMismatch,
    Conflict,
    Gone,
    LengthRequired,
    Malformed,
    TooLarge,
    WrongVersion,
)
from .tus_schema import (
    CHECKSUM,
    DELETED,
    EXPIRES,
    HEAD_ANSWER,
    IMPORT,
    LENGTH,
    LOCATION,
    METADATA,
    OFFSET,
    OFFSET_NOW,
    RESUMABLE,
    TUS_ANSWER,
    created,
    patched,
)

CONTENT_TYPE = "application/offset+octet-stream"
CHECKSUMS = ("sha1", "sha256", "md5")


class OffsetStream(BaseParser):
    """Leaves the body unread: the view takes it block by block."""

    media_type = CONTENT_TYPE

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return {}


class TusView(StrictQuery, APIView):
    """What all requests of the protocol share: version check, headers, owner's uploads only."""

    scope_area = "catalogue"
    schema_tag = "Uploads (tus 1.0)"
    uncounted_methods = ("PATCH",)  # by the rate limit
    parser_classes = [OffsetStream]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        versioned = {*self.allowed_methods} - {"OPTIONS", "GET"}  # all others get their 405
        if request.method in versioned and request.headers.get("Tus-Resumable") != VERSION:
            raise WrongVersion

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Tus-Resumable"] = VERSION
        response["Cache-Control"] = "no-store"
        if response.status_code == status.HTTP_412_PRECONDITION_FAILED:
            response["Tus-Version"] = VERSION
        return response

    @extend_schema(
        operation_id="uploads_options",
        summary="What this tus server can do",
        parameters=TUS_ANSWER,
        responses={204: None},
    )
    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(
            status=status.HTTP_204_NO_CONTENT,
            headers={
                "Tus-Version": VERSION,
                "Tus-Max-Size": str(settings.UPLOAD_MAX_BYTES),
                "Tus-Extension": "creation,termination,expiration,checksum",
                "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
            },
        )


class UploadList(TusView):
    """`/api/uploads/`: create an upload, find unfinished ones."""

    documented_methods = ("OPTIONS",)
    query_classes = {"GET": UploadListQuery}

    @extend_schema(
        operation_id="uploads_create",
        summary="Create an upload and its import (tus creation)",
        description="PATCH the bytes to Location. Takes no body.",
        parameters=[RESUMABLE, LENGTH, METADATA, LOCATION, EXPIRES, IMPORT],
        request=None,
        responses=created(),
    )
    def post(self, request: Request) -> Response:
        if "Upload-Defer-Length" in request.headers:
            raise Malformed("Upload-Defer-Length", "Not supported; send Upload-Length.")
        size = _whole_number(request, "Upload-Length")
        metadata = tus_metadata.read(request.headers.get(tus_metadata.HEADER, ""))
        try:
            job = uploads.create(
                request.user,
                metadata.get("filename", ""),
                size,
                tus_metadata.options(metadata),
                fingerprint=metadata.get("fingerprint", ""),
                metadata=metadata,
            )
        except uploads.UploadTooLarge as error:
            raise TooLarge(str(error)) from None
        except uploads.UploadError as error:
            raise Malformed(tus_metadata.HEADER, str(error)) from None
        return Response(
            status=status.HTTP_201_CREATED,
            headers={
                "Location": reverse("upload", [job.upload_id], request=request),
                "Upload-Expires": http_date(job.upload.expires_at.timestamp()),
                "Stockroom-Import": str(job.pk),
            },
        )

    @extend_schema(
        operation_id="uploads_list",
        summary="Unfinished uploads of yours, to be gone on with",
        description="The newest 50.",
        parameters=[UploadListQuery],
        responses={200: UploadSerializer(many=True)},
    )
    def get(self, request: Request) -> Response:
        found = Upload.objects.filter(
            created_by=request.user, completed_at=None, purged_at=None, imports__isnull=False
        ).exclude(imports__state__in=Import.ENDED)
        if "fingerprint" in self.query:
            found = found.filter(fingerprint=self.query["fingerprint"])
        unfinished = UploadSerializer(
            found.order_by("-created_at")[:50], many=True, context={"request": request}
        )
        return Response(unfinished.data)


class UploadDetail(TusView):
    """`/api/uploads/{id}/`: send bytes, ask how far it is, delete."""

    documented_methods = ("HEAD",)

    @extend_schema(
        operation_id="uploads_offset",
        summary="How many bytes are stored",
        description="Go on from there after a broken line.",
        parameters=[RESUMABLE, *HEAD_ANSWER],
        responses=DELETED | {200: None},
    )
    def head(self, request: Request, upload_id: UUID) -> Response:
        upload = _own_upload(request, upload_id)
        done = upload.completed_at is not None
        headers = {
            "Upload-Offset": str(upload.size_bytes if done else _settled(upload)),
            "Upload-Length": str(upload.size_bytes),
            tus_metadata.HEADER: tus_metadata.written(upload.metadata),
        }
        if not done:
            headers["Upload-Expires"] = http_date(upload.expires_at.timestamp())
        return Response(status=status.HTTP_200_OK, headers=headers)

    @extend_schema(
        operation_id="uploads_append",
        summary="Append bytes at Upload-Offset",
        description="As many as you like at a time; the import begins when all are there.",
        parameters=[RESUMABLE, OFFSET, CHECKSUM, OFFSET_NOW, EXPIRES],
        request={CONTENT_TYPE: OpenApiTypes.BINARY},
        responses=patched(),
    )
    def patch(self, request: Request, upload_id: UUID) -> Response:
        if request.content_type.split(";")[0].strip() != CONTENT_TYPE:
            raise UnsupportedMediaType(request.content_type, f"Send Content-Type: {CONTENT_TYPE}.")
        upload = _own_upload(request, upload_id)
        offset = _whole_number(request, "Upload-Offset")
        length = _content_length(request)
        try:
            turn = uploads.take_turn(upload.pk, offset)
            try:
                if offset + length > upload.size_bytes:
                    raise uploads.UploadTooLarge(
                        f"{length:,} bytes at {offset:,} go past the announced end at"
                        f" {upload.size_bytes:,}."
                    )
                turn = _append(request, upload, turn, length)
            finally:
                uploads.end_turn(turn)
        except uploads.OffsetConflict as error:
            raise Conflict(str(error)) from None
        except uploads.UploadTooLarge as error:
            raise TooLarge(str(error)) from None
        except uploads.UploadGone as error:
            raise Gone(str(error)) from None
        upload.refresh_from_db(fields=["expires_at"])
        return Response(
            status=status.HTTP_204_NO_CONTENT,
            headers={
                "Upload-Offset": str(turn.offset),
                "Upload-Expires": http_date(upload.expires_at.timestamp()),
            },
        )

    @extend_schema(
        operation_id="uploads_delete",
        summary="Give up the upload and its import",
        description="Its import is cancelled; bytes of an unfinished upload are deleted.",
        parameters=[RESUMABLE],
        responses=DELETED | {204: None},
    )
    def delete(self, request: Request, upload_id: UUID) -> Response:
        upload = _own_upload(request, upload_id)
        for job in upload.imports.exclude(state__in=Import.ENDED):
            pipeline.cancel(job.pk)
        if upload.completed_at is None:
            uploads.purge(upload.pk)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _settled(upload: Upload) -> int:
    try:
        return uploads.settle(upload.pk)
    except uploads.UploadGone as error:
        raise Gone(str(error)) from None


def _append(request: Request, upload: Upload, turn: uploads.Turn, length: int) -> uploads.Turn:
    if "Upload-Checksum" in request.headers:
        return _append_checked(request, turn, length)
    return _append_as_it_comes(request, upload, turn)


def _append_as_it_comes(request: Request, upload: Upload, turn: uploads.Turn) -> uploads.Turn:
    channels = list(upload.imports.values_list("pk", flat=True))
    for block in _blocks(request._request):
        turn = uploads.append(turn, block)
        for job_id in channels:
            progress.changed(job_id)
    for job_id in channels:
        progress.flush(job_id)
    return turn


def _append_checked(request: Request, turn: uploads.Turn, length: int) -> uploads.Turn:
    """Store a request's bytes only once all of them match their checksum."""
    algorithm, _, encoded = request.headers["Upload-Checksum"].partition(" ")
    if algorithm not in CHECKSUMS:
        raise Malformed("Upload-Checksum", f"Use one of {', '.join(CHECKSUMS)}.")
    if length > settings.UPLOAD_CHECKED_MAX_BYTES:
        raise TooLarge(
            f"With Upload-Checksum a request may have {settings.UPLOAD_CHECKED_MAX_BYTES:,} bytes."
        )
    blocks = list(_blocks(request._request))
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for block in blocks:
        digest.update(block)
    if base64.b64encode(digest.digest()).decode() != encoded.strip():
        raise ChecksumMismatch
    return uploads.append_blocks(turn, blocks)


def _blocks(request: HttpRequest) -> Iterator[bytes]:
    """The body in blocks; a connection that ends early ends it early, the rest came."""
    while block := request.read(settings.UPLOAD_BLOCK_BYTES):
        yield block


def _own_upload(request: Request, upload_id: UUID) -> Upload:
    upload = Upload.objects.filter(pk=upload_id, created_by=request.user).first()
    if upload is None:
        raise NotFound("No such upload of yours.")
    if upload.purged_at is not None and upload.completed_at is None:
        raise Gone("This upload was given up; start a new one.")
    return upload


def _whole_number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Malformed(header, f"Must be a whole number of bytes, not {text[:40]!r}.")
    return int(text)


def _content_length(request: Request) -> int:
    if "Content-Length" not in request.headers:
        raise LengthRequired
    return _whole_number(request, "Content-Length")
