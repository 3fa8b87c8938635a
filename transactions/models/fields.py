"""Numbers of any size."""

from typing import Any

from django.db import models


class ExactNumberField(models.Field):  # type: ignore[type-arg]
    """A Decimal, kept with all its digits. Django's DecimalField wants them bounded."""

    def db_type(self, connection: Any) -> str:
        return "numeric"
