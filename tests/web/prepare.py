"""Fills a database and a folder for the real web process; run by tests/web/conftest.py.

In a process of its own, since its settings are not those of the test run. Prints the session key
of a signed-in user.
"""

import django
from django.core.management import call_command


def main() -> None:
    django.setup()
    from django.contrib.auth import get_user_model
    from django.test import Client

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    client = Client()
    client.force_login(get_user_model().objects.create_user("viewer"))
    print(client.cookies["sessionid"].value)


if __name__ == "__main__":
    main()
