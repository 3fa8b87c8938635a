import pytest

from config.metrics import requests


@pytest.fixture(autouse=True)
def _nothing_counted(monkeypatch):
    monkeypatch.setattr(requests, "_counts", {})


@pytest.mark.parametrize(
    ("path", "query", "kind"),
    [
        ("/", b"", "page"),
        ("/products/", b"q=lamp", "page"),
        ("/api/products/", b"", "api"),
        ("/api/orders/1/", b"", "api"),
        ("/api/orders/1/", b"wait=25", "live"),
        ("/events/webhooks/", b"", "live"),
        ("/static/stockroom.css", b"", "other"),
        ("/metrics", b"", "other"),
    ],
)
def test_it_knows_kinds_of_requests(path: str, query: bytes, kind: str) -> None:
    assert requests.kind(path, query) == kind


def test_it_counts_by_kind_status_and_duration() -> None:
    for status, seconds in ((200, 0.005), (204, 0.0051), (404, 60.0), (0, 1.0)):
        requests.count("/api/products/", b"", status, seconds)
    found = requests.parsed(requests.counted())
    assert {key: answered.count for key, answered in found.items()} == {
        ("api", "2xx"): 2,
        ("api", "4xx"): 1,
        ("api", "unanswered"): 1,
    }
    assert found["api", "2xx"].buckets[:2] == [1, 1]
    assert found["api", "4xx"].buckets[-1] == 1
    assert found["api", "4xx"].seconds == 60.0


def test_entries_of_another_version_are_passed_over() -> None:
    assert requests.parsed({"page 9xx 1": "1", "page 2xx 99": "1", "what": "1"}).keys() <= {
        ("page", "2xx")
    }
