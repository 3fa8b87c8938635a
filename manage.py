#!/usr/bin/env python
"""Django's command line for Stockroom."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Use the project's own Python: .venv/bin/python manage.py … (`make run` makes it)")

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
