"""Who may use Stockroom: people (pages) and API tokens (integrations)."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person who signs in. Our own class from the start, since it can't be changed later."""
