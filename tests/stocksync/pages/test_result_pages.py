"""A tree, a product, two jobs compared, and the downloads."""

import json
import re

import pytest

from stocksync.jobs import files, service
from stocksync.results import comparison

from .conftest import advanced
from .histories import MIXED, created, lines, updated
from .reading import text

pytestmark = pytest.mark.django_db(transaction=True)


class TestTreeAndProduct:
    def test_the_tree_says_what_each_event_caused_and_why_it_was_ignored(self, read, done):
        said = read(f"/stocksync/{done(MIXED).pk}/trees/1/")
        assert "product 2 created below product 1, stock 10 at 124 waited for product 1" in said
        assert "product 1: stock 20 at 129 product 2 gets stock 20 product 3 gets stock 20" in said
        assert "no command needed a new tree" in said
        assert "product 3 gets stock 20 the newest stock of its tree" in said
        assert "in the order in which they were decided" in said
        assert "stale timestamp 128 is not newer than 129, the last stock of this tree" in said
        assert 'refused no such type of event: "ProductMoved"' in said

    def test_many_commands_are_shortened(self, read, done):
        job = done(
            lines(
                created(1, 1),
                *(created(n, n, parent=1) for n in range(2, 1501)),
                updated(1, 9000, 3),
            )
        )
        said = read(f"/stocksync/{job.pk}/trees/1/?product=1")
        assert "product 6 gets stock 3 and 1,494 more" in said
        assert "50 of 1,500" in said

    def test_a_product_leads_to_its_tree(self, client, user, done):
        client.force_login(user)
        job = done(MIXED)
        response = client.get(f"/stocksync/{job.pk}/products/", {"id": "3"}, follow=True)
        assert response.redirect_chain[-1][0] == f"/stocksync/{job.pk}/trees/1/?product=3"
        assert "Of product 3" in text(response)
        own = text(client.get(f"/stocksync/{job.pk}/trees/1/?product=3&events=product"))
        assert "Events of product 3" in own and "product 1: stock 20" not in own

    def test_a_product_that_was_never_created_has_what_waited_for_it(self, read, done):
        job = done(MIXED)
        said = read(f"/stocksync/{job.pk}/products/4/")
        assert "No event of the file created this product" in said
        assert "product 4: stock 5" in said
        assert "product 6 created below product 5" in read(f"/stocksync/{job.pk}/products/5/")

    def test_one_that_no_event_names_is_not_found_in_words(self, read, done):
        assert "No event of this file is about product 99" in read(
            f"/stocksync/{done(MIXED).pk}/products/99/", 404
        )

    @pytest.mark.parametrize("given", ["", "x", "-1", "9" * 40, "1.5", str(2**63), "9" * 5000])
    def test_what_is_no_id_is_said(self, read, done, given):
        job = done(MIXED)
        said = read(f"/stocksync/{job.pk}/products/?id={given}", follow=True)
        assert ("Write the product's id" in said) != ("That is no product's id" in said)

    @pytest.mark.parametrize("product", [1234567890123456789, 2**63 - 1])
    def test_an_id_may_have_all_its_digits(self, client, user, done, product):
        client.force_login(user)
        job = done(lines(created(product, 1), created(2, 2, parent=product), updated(2, 3, 7)))
        address = f"/stocksync/{job.pk}/products/"
        response = client.get(address, {"id": f" {product} "}, follow=True)
        own = f"/stocksync/{job.pk}/trees/{product}/?product={product}"
        assert response.redirect_chain[-1][0] == own
        assert f"Of product {product}" in text(response)
        assert f"product {product} gets stock 7" in text(response)
        assert f"Events of product {product}" in text(client.get(f"{own}&events=product"))

    def test_a_larger_number_is_said_to_be_no_id(self, read, done):
        job = done(MIXED)
        for address in ("?id=9223372036854775808", "9223372036854775808/"):
            status = 200 if "?" in address else 404
            said = read(f"/stocksync/{job.pk}/products/{address}", status, follow=True)
            assert "no product's id: ids go up to 9223372036854775807" in said
            assert "about product" not in said

    def test_strange_queries_do_no_harm(self, read, done):
        job = done(MIXED)
        for query in ("after=x", "before=99999999999999999999", "products_after=7&after=-3"):
            read(f"/stocksync/{job.pk}/trees/1/?{query}")
            read(f"/stocksync/{job.pk}/trees/?{query}&show=nonsense")
            read(f"/stocksync/{job.pk}/commands/?at={query}")
            read(f"/stocksync/{job.pk}/not-applied/?{query}&code=nonsense")
        read(f"/stocksync/{job.pk}/trees/1/?product=11")
        read(f"/stocksync/{job.pk}/trees/7/", 404)


class TestCompare:
    def test_two_ticked_jobs_are_set_side_by_side_the_older_first(self, client, user, done):
        client.force_login(user)
        a, b = done(MIXED), done(MIXED + lines(created(30, 170)))
        response = client.get("/stocksync/compare/", {"job": [b.pk, a.pk]})
        assert response["Location"] == f"/stocksync/compare/?a={a.pk}&b={b.pk}"
        said = text(client.get(response["Location"]))
        assert "products 7 8 +1" in said and "They read different files" in said
        assert "where both jobs read the same upload. Use “Run again”" in said

    @pytest.mark.parametrize("query", ["", "job=1", "job=1&job=2&job=3", "a=1", "a=x&b=2"])
    def test_other_than_two_are_asked_for(self, read, done, query):
        done(MIXED)
        assert "Tick two jobs to compare them" in read(f"/stocksync/compare/?{query}", follow=True)

    def test_ticks_stay_where_they_are_not_two(self, client, user, done):
        client.force_login(user)
        jobs = [done(MIXED) for _ in range(4)]
        response = client.get("/stocksync/compare/", {"job": [job.pk for job in jobs[:3]]})
        page = client.get(response["Location"]).content.decode()
        ticked = re.findall(r'name="job" value="(\d+)"[^>]* checked', page)
        assert sorted(map(int, ticked)) == [job.pk for job in jobs[:3]]

    def test_another_clock_shows_what_it_changed(self, read, user, done):
        job = done(lines(created(1, 10), created(2, 20), updated(1, 15, 3)))
        other = advanced(service.repeat(job, user, "global"))
        said = read(f"/stocksync/compare/?a={job.pk}&b={other.pk}")
        assert "Both read the same events, with different clocks" in said
        assert "stale 0 1 +1" in said
        assert "1 stock 3 active stock 10 active" in said
        assert "3 product 1: stock 3 took effect stale timestamp 15 is not newer than 20" in said

    def test_the_same_file_uploaded_twice_is_compared_like_one(self, read, done, monkeypatch):
        a, b = done(MIXED), done(MIXED, name="again.jsonl")
        address = f"/stocksync/compare/?a={a.pk}&b={b.pk}"
        said = read(address)
        assert "Both read the same events" in said and "No difference." in said
        assert "file events.jsonl again.jsonl same content" in said
        monkeypatch.setattr(comparison, "READ_BYTES", 10)
        assert "Their files were uploaded separately" in read(address)

    def test_what_can_not_be_told_is_said(self, read, done, queued):
        job, other = done(MIXED), queued(MIXED)
        said = read(f"/stocksync/compare/?a={job.pk}&b={other.pk}")
        assert "where both jobs are done" in said
        assert "No difference" not in said
        read(f"/stocksync/compare/?a={job.pk}&b=999999", 404)


class TestDownloads:
    def test_files_are_what_the_command_line_writes(self, client, user, done):
        client.force_login(user)
        job = done(MIXED)
        output = client.get(f"/stocksync/{job.pk}/output.jsonl")
        assert output["Content-Disposition"] == f'attachment; filename="output-{job.pk}.jsonl"'
        every = b"".join(output.streaming_content).splitlines()
        assert len(every) == 7
        assert json.loads(every[-1])["stocks"]["11"] == 0
        rejects = b"".join(client.get(f"/stocksync/{job.pk}/rejects.jsonl").streaming_content)
        assert [json.loads(line)["line"] for line in rejects.splitlines()] == [6, 7, 8, 16]
        summary = client.get(f"/stocksync/{job.pk}/summary.json").json()
        assert summary["counts"]["events"] == 16

    def test_a_file_that_is_gone_is_said_on_the_job(self, client, user, done, queued):
        client.force_login(user)
        job = done(MIXED)
        files.purge(job.output_id)
        said = text(client.get(f"/stocksync/{job.pk}/output.jsonl", follow=True))
        assert "not stored any more" in said
        said = text(client.get(f"/stocksync/{queued(MIXED).pk}/output.jsonl", follow=True))
        assert "Only a job that is done has an output" in said
