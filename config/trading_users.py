"""Names of those that orders are placed for: keys in the Redis of prices and credit. Pure."""

import re

USER = re.compile(r"user[0-9][a-z0-9._-]{0,59}")
WORDS = "“user”, a digit, then small letters, digits, dots, - or _, at most 64 characters"
