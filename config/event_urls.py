"""Live streams, one channel each. Reached through config/live/streams.py on the ASGI side."""

from django.urls import path

from config.live.views import events

urlpatterns = [
    path("<str:channel>/", events, name="events"),
]
