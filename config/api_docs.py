"""The page that shows the schema. config/api_urls.py has its address."""

from typing import Any

from django.contrib.auth.views import redirect_to_login
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.exceptions import NotAuthenticated
from rest_framework.renderers import JSONRenderer


class Documentation(SpectacularSwaggerSplitView):
    """For a session or a token, as the schema is; who has neither is sent to the login."""

    # The page's own assets alone, none from outside hosts; its script is a response of its own,
    # so the policy of all pages holds here too.
    url_name = "api-schema"
    template_name = "api_docs/swagger.html"

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, NotAuthenticated):
            return redirect_to_login(self.request.get_full_path())
        # Errors are JSON, though what the view shows is not.
        renderer = JSONRenderer()
        self.request.accepted_renderer = renderer
        self.request.accepted_media_type = renderer.media_type
        return super().handle_exception(exc)
