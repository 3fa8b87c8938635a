"""What is on a page, as whoever reads it sees it."""

import re
from html import unescape

from django.http import HttpResponse


def text(response: HttpResponse) -> str:
    """The words of the page's main part, without tags and with single spaces."""
    body = response.content.decode()
    words = re.sub(r"<[^>]+>", " ", body[body.find("<main") :])
    return unescape(re.sub(r"\s+", " ", words))
