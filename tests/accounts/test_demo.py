import stat
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from config.accounts import demo, tokens
from config.accounts.models import ApiToken, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path):
    return tmp_path / "demo.txt"


def test_it_makes_an_account_that_can_sign_in_and_a_token_for_everything(file, client):
    made = demo.ensure(file)
    assert client.login(username="demo", password=made.password)
    assert client.get("/users/").status_code == 200  # an admin's page
    token = tokens.verify(made.token)
    assert token.covers_everything and token.may_trade_for("anyone")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_second_run_gives_the_same_and_makes_nothing(file):
    assert demo.ensure(file) == demo.ensure(file)
    assert User.objects.count() == ApiToken.objects.count() == 1
    assert list(file.parent.iterdir()) == [file]


def test_a_changed_password_stays_and_is_said(file):
    demo.ensure(file)
    user = User.objects.get()
    user.set_password("my-own-long-password")
    user.save()
    made = demo.ensure(file)
    assert made.password is None and "was changed" in made.password_note
    user.refresh_from_db()
    assert user.check_password("my-own-long-password")


def test_a_revoked_token_stays_revoked_and_is_said(file):
    demo.ensure(file)
    tokens.revoke(User.objects.get(), ApiToken.objects.get().pk)
    made = demo.ensure(file)
    assert made.token is None and "was revoked" in made.token_note
    assert ApiToken.objects.count() == 1


def test_with_its_file_lost_it_says_how_to_go_on(file):
    demo.ensure(file)
    file.unlink()
    made = demo.ensure(file)
    assert made.password is made.token is None
    assert "changepassword" in made.password_note and "/account/" in made.token_note


def test_with_its_database_lost_it_makes_both_anew(file):
    before = demo.ensure(file)
    User.objects.all().delete()
    after = demo.ensure(file)
    assert before != after and tokens.verify(after.token) and after.password


def test_the_command_prints_both(settings, tmp_path):
    settings.STATE_DIR = tmp_path
    out = StringIO()
    call_command("ensure_demo", stdout=out)
    made = demo.ensure(tmp_path / "demo.txt")
    assert made.password in out.getvalue() and made.token in out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_two_starts_at_once_agree(file):
    def ensure(_):
        try:
            return demo.ensure(file)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(ensure, range(4)))
    assert len(set(made)) == 1 and made[0].password and made[0].token
    assert User.objects.count() == ApiToken.objects.count() == 1
