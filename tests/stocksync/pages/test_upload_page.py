"""The page that takes a file: plain forms and its script, what is refused and kept."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from stocksync.models import StoredFile, SyncJob

from .conftest import advanced
from .histories import MIXED
from .reading import text

pytestmark = pytest.mark.django_db(transaction=True)


def upload(client: Client, data: bytes, **form):
    file = SimpleUploadedFile(form.pop("name", "events.jsonl"), data)
    return client.post("/stocksync/new/", {"clock": "tree", "file": file, **form})


class TestUpload:
    def test_a_plain_form_begins_a_job_and_leads_to_its_page(self, client, user):
        client.force_login(user)
        response = upload(client, MIXED.encode(), clock="global", name="day.jsonl")
        job = SyncJob.objects.get()
        assert response["Location"] == f"/stocksync/{job.pk}/"
        assert (job.clock, job.events.name, job.created_by) == ("global", "day.jsonl", user)
        advanced(job)
        assert job.events.size_bytes == len(MIXED)
        assert "16 events gave 6 commands" in text(client.get(response["Location"]))

    def test_a_script_is_told_the_address_or_the_error(self, client, user):
        client.force_login(user)
        for data, status in ((MIXED.encode(), 200), (b"", 422)):
            file = SimpleUploadedFile("events.jsonl", data)
            response = client.post(
                "/stocksync/new/", {"file": file}, headers={"Accept": "application/json"}
            )
            assert response.status_code == status
        assert response.json()["error"]["message"].startswith("This file is empty")

    @pytest.mark.parametrize(
        ("form", "said"),
        [
            ({"data": b""}, "This file is empty"),
            ({"data": b"x", "clock": "sundial"}, "Choose one of the two clocks"),
        ],
    )
    def test_what_is_wrong_is_said_and_nothing_is_kept(self, client, user, form, said):
        client.force_login(user)
        response = upload(client, **form)
        assert response.status_code == 422
        assert said in text(response)
        assert not SyncJob.objects.exists() and not StoredFile.objects.exists()

    def test_of_two_files_none_is_taken(self, client, user):
        client.force_login(user)
        two = [SimpleUploadedFile(f"{n}.jsonl", MIXED.encode()) for n in range(2)]
        response = client.post("/stocksync/new/", {"clock": "tree", "file": two})
        assert response.status_code == 422
        assert "Choose one file" in text(response)
        assert not SyncJob.objects.exists() and not StoredFile.objects.exists()

    def test_a_form_without_a_file_says_so(self, client, user):
        client.force_login(user)
        response = client.post("/stocksync/new/", {"clock": "global"})
        assert response.status_code == 422
        assert "Choose the file of events first" in text(response)
        assert re.search(r'value="global"[^>]* checked', response.content.decode())

    def test_too_large_a_file_is_refused_with_the_limit(self, client, user, settings):
        settings.STOCKSYNC_MAX_BYTES = 2000
        client.force_login(user)
        response = upload(client, b"x" * 400_000)
        assert response.status_code == 413
        assert "at most 2 kB are taken" in text(response)
        assert not StoredFile.objects.exists()

    def test_a_foreign_form_is_refused_and_nothing_is_kept(self, user):
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        assert upload(client, MIXED.encode()).status_code == 403
        assert not SyncJob.objects.exists() and not StoredFile.objects.exists()

    def test_with_the_header_a_script_may_send_it(self, user):
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        client.get("/stocksync/new/")
        token = client.cookies["csrftoken"].value
        file = SimpleUploadedFile("events.jsonl", MIXED.encode())
        headers = {"Accept": "application/json", "X-CSRFToken": token}
        response = client.post("/stocksync/new/", {"file": file}, headers=headers)
        assert response.json()["url"] == f"/stocksync/{SyncJob.objects.get().pk}/"
