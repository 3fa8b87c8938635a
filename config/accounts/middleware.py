"""Nothing answers without a login; how it is asked for depends on who is asking."""

from http import HTTPStatus

from django.contrib.auth.middleware import LoginRequiredMiddleware as DjangoLoginRequired
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django_htmx.http import HttpResponseClientRedirect

from config import api_errors


class LoginRequiredMiddleware(DjangoLoginRequired):
    """Pages redirect to the login, parts of pages make the browser go there, /api/ says 401.

    DRF views are exempt (they authenticate by themselves); views under /api/ and
    /events/ that are not DRF's come here.
    """

    def handle_no_permission(self, request: HttpRequest, view_func) -> HttpResponse:
        if api_errors.wants_json(request):
            answer = api_errors.response(HTTPStatus.UNAUTHORIZED)
            answer.headers["WWW-Authenticate"] = 'Bearer realm="Stockroom"'
            return answer
        if request.htmx:
            # A redirect would put the login page inside a part of this page. Come
            # back to the page that the browser shows, not to the part's address.
            shown = request.htmx.current_url_abs_path or "/"
            login = redirect_to_login(shown, self.get_login_url(view_func))
            return HttpResponseClientRedirect(login.url)
        return super().handle_no_permission(request, view_func)
