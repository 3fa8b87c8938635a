"""What bench/web.py serves: Django with one view that makes one SELECT, without middleware.

`wsgi` for a WSGI server, `asgi` through config.asgi's threads.
"""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

# isort: split
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

from config.asgi import Web

settings.ROOT_URLCONF = "bench.web_app"
settings.MIDDLEWARE = []


def page(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY id DESC LIMIT 10")
        rows = cursor.fetchall()
    body = "".join(f"<p>{app} {name}</p>\n" for app, name in rows)
    return HttpResponse(body, headers={"Content-Length": len(body)})


urlpatterns = [path("page", page)]

wsgi = WSGIHandler()
asgi = Web(wsgi, page_threads=settings.WEB_THREADS, transfer_threads=settings.UPLOAD_THREADS)
