"""Pages of the own account: login, password, API tokens."""

from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from config.accounts import throttle, tokens
from config.accounts.forms import LoginForm, PasswordChangeForm, TokenForm

SHOWN_TOKENS = 100
BUSY_RETRY_SECONDS = 5


class LoginView(auth_views.LoginView):
    template_name = "accounts/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def form_invalid(self, form: LoginForm) -> HttpResponse:
        response = super().form_invalid(form)
        if form.throttled:
            response.status_code = HTTPStatus.TOO_MANY_REQUESTS
            response.headers["Retry-After"] = str(throttle.WINDOW_SECONDS)
        elif form.busy:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
            response.headers["Retry-After"] = str(BUSY_RETRY_SECONDS)
        return response


class PasswordChangeView(auth_views.PasswordChangeView):
    template_name = "accounts/password.html"
    form_class = PasswordChangeForm
    success_url = reverse_lazy("account")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        messages.success(self.request, "Your password is changed. Other browsers are signed out.")
        return super().form_valid(form)


@require_GET
@never_cache
def account(request: HttpRequest) -> HttpResponse:
    return _account(request, TokenForm(request.user))


@require_POST
@never_cache
def create_token(request: HttpRequest) -> HttpResponse:
    """Answers the POST itself instead of redirecting: the secret is written nowhere."""
    form = TokenForm(request.user, request.POST)
    if not form.is_valid():
        return _account(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    token, secret = tokens.issue(
        request.user,
        form.cleaned_data["name"],
        form.cleaned_data["scopes"],
        form.cleaned_data["trading_users"],
        form.expires_at,
    )
    return render(request, "accounts/token_created.html", {"token": token, "secret": secret})


@require_POST
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    token = tokens.revoke(request.user, token_id)
    if token is None:
        raise Http404
    messages.success(request, f"The token “{token.name}” is revoked.")
    return redirect("account")


def _account(request: HttpRequest, form: TokenForm, status: int = HTTPStatus.OK) -> HttpResponse:
    usable_first = F("revoked_at").desc(nulls_first=True)
    shown = request.user.api_tokens.order_by(usable_first, "-created_at")[:SHOWN_TOKENS]
    context = {"form": form, "tokens": shown}
    return render(request, "accounts/account.html", context, status=status)
