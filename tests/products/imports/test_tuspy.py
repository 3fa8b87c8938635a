"""A third-party tus client against the real web process, over a network that cuts."""

import io
import time

import pytest
import requests
from tusclient.client import TusClient

from .cutting_proxy import cutting_proxy

DATA = b"name,sku,description\r\n" + b"".join(
    b"Name %d,tuspy-%d,%s\r\n" % (n, n, b"x" * 80) for n in range(20_000)
)
DEADLINE_SECONDS = 90


def ended(address: str, headers: dict, import_id: int) -> dict:
    """The import's state once it has ended."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        job = requests.get(
            f"{address}/api/imports/{import_id}/", headers=headers, timeout=30
        ).json()
        if job["ended"]:
            return job
        time.sleep(0.1)
    raise AssertionError(f"import {import_id} has not ended: {job}")


@pytest.mark.parametrize(
    ("chunk_size", "cuts"),
    [
        (None, []),
        (None, [700_000, 600_000]),
        (100_000, [50_000, 70_001, 20_000]),
    ],
    ids=["one PATCH", "one PATCH cut twice", "small chunks, three cut"],
)
@pytest.mark.parametrize("checksums", [False, True])
def test_tuspy_uploads_and_resumes(running_stockroom, chunk_size, cuts, checksums):
    headers = {"Authorization": f"Bearer {running_stockroom.token}"}
    with cutting_proxy(running_stockroom.address, cuts) as proxy:
        client = TusClient(f"{proxy.address}/api/uploads/", headers=headers)
        options = {} if chunk_size is None else {"chunk_size": chunk_size}
        uploader = client.uploader(
            file_stream=io.BytesIO(DATA),
            metadata={"filename": "tuspy.csv"},
            retries=5,
            retry_delay=0,
            upload_checksum=checksums,
            **options,
        )
        uploader.upload()
        assert proxy.cut == len(cuts)

    newest = requests.get(
        f"{running_stockroom.address}/api/imports/?page_size=1", headers=headers, timeout=30
    ).json()["results"][0]
    job = ended(running_stockroom.address, headers, newest["id"])

    assert job["state"] == "done"
    assert (job["received_bytes"], job["rows"], job["rejected"]) == (len(DATA), 20_000, 0)
    assert job["created"] + job["unchanged"] == 20_000


def test_a_cut_patch_keeps_what_came(running_stockroom):
    """The bytes before the cut are not sent again: the offset moved on."""
    headers = {"Authorization": f"Bearer {running_stockroom.token}", "Tus-Resumable": "1.0.0"}
    created = requests.post(
        f"{running_stockroom.address}/api/uploads/",
        headers={**headers, "Upload-Length": str(len(DATA))},
        timeout=30,
    )
    url = created.headers["Location"]
    with cutting_proxy(running_stockroom.address, [1_000_000]) as proxy:
        through = url.replace(running_stockroom.address, proxy.address)
        with pytest.raises(requests.ConnectionError):
            requests.patch(
                through,
                data=DATA,
                headers={
                    **headers,
                    "Upload-Offset": "0",
                    "Content-Type": "application/offset+octet-stream",
                },
                timeout=30,
            )

    deadline = time.monotonic() + DEADLINE_SECONDS
    offset = 0
    while offset < 900_000 and time.monotonic() < deadline:
        offset = int(requests.head(url, headers=headers, timeout=30).headers["Upload-Offset"])
    assert 900_000 <= offset <= 1_100_000
    assert requests.delete(url, headers=headers, timeout=30).status_code == 204
