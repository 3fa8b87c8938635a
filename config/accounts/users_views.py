"""Pages of all accounts, for admins. What they do is in people.py."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from config.accounts import people
from config.accounts.forms import RoleForm, UserForm
from config.accounts.models import Role, User
from config.accounts.permissions import requires, role_of

SHOWN_USERS = 500

asked_first = require_http_methods(["GET", "HEAD", "POST"])  # GET says what POST will do
for_admins = requires("users:admin")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@for_admins
def users(request: HttpRequest) -> HttpResponse:
    """All accounts; POST adds one and answers with its password, which is written nowhere."""
    if request.method != "POST":
        return _users(request, UserForm(initial={"role": Role.EDITOR}))
    form = UserForm(request.POST)
    if form.is_valid():
        try:
            role = Role(form.cleaned_data["role"])
            user, password = people.add(request.user, form.cleaned_data["username"], role)
        except people.NameTaken:
            form.add_error("username", "There is an account with this name already.")
        else:
            return _password(request, user, password, is_new=True)
    return _users(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)


@require_safe
@never_cache
@for_admins
def user_page(request: HttpRequest, user_id: int) -> HttpResponse:
    return _user(request, user_id)


@require_POST
@for_admins
def change_role(request: HttpRequest, user_id: int) -> HttpResponse:
    """Asks again before somebody takes the role of admin from themselves."""
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _user(request, user_id, form=form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    role = Role(form.cleaned_data["role"])
    own = user_id == request.user.pk
    if own and role is not Role.ADMIN and "confirmed" not in request.POST:
        return render(request, "accounts/users_own_role.html", {"role": role})

    def change() -> HttpResponse:
        user = people.set_role(request.user, user_id, role)
        messages.success(request, f"{user.get_username()} is {_with_article(role)} now.")
        return redirect("account") if own and role is not Role.ADMIN else _to(user)

    return _unless_last(request, user_id, change)


@asked_first
@never_cache
@for_admins
def switch_off(request: HttpRequest, user_id: int) -> HttpResponse:
    if request.method != "POST":
        return _ask(request, "accounts/users_off.html", user_id)

    def change() -> HttpResponse:
        own = user_id == request.user.pk
        user = people.switch_off(request.user, user_id)
        if own:
            logout(request)  # its row is gone, so nothing more can be kept in it
        messages.success(request, f"{user.get_username()} is switched off.")
        return redirect("login") if own else _to(user)

    return _unless_last(request, user_id, change)


@require_POST
@for_admins
def switch_on(request: HttpRequest, user_id: int) -> HttpResponse:
    get_object_or_404(User, pk=user_id)
    user = people.switch_on(request.user, user_id)
    messages.success(request, f"{user.get_username()} can sign in again.")
    return _to(user)


@asked_first
@never_cache
@for_admins
def new_password(request: HttpRequest, user_id: int) -> HttpResponse:
    """One's own is changed on one's own page, which asks for the old one."""
    if user_id == request.user.pk:
        return redirect("password_change")
    if request.method != "POST":
        return _ask(request, "accounts/users_password.html", user_id)
    get_object_or_404(User, pk=user_id)
    user, password = people.renew_password(request.user, user_id)
    return _password(request, user, password, is_new=False)


def _users(request: HttpRequest, form: UserForm, status: int = HTTPStatus.OK) -> HttpResponse:
    found = list(people.everybody(timezone.now())[: SHOWN_USERS + 1])
    context = {"form": form, "users": found[:SHOWN_USERS], "more": len(found) > SHOWN_USERS}
    return render(request, "accounts/users.html", context, status=status)


def _user(
    request: HttpRequest,
    user_id: int,
    *,
    form: RoleForm | None = None,
    problem: str = "",
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    person = get_object_or_404(people.everybody(timezone.now()), pk=user_id)
    form = form or RoleForm(initial={"role": role_of(person)})
    context = {"person": person, "form": form, "problem": problem}
    return render(request, "accounts/users_user.html", context, status=status)


def _ask(request: HttpRequest, template: str, user_id: int) -> HttpResponse:
    person = get_object_or_404(people.everybody(timezone.now()), pk=user_id)
    return render(request, template, {"person": person})


def _password(request: HttpRequest, user: User, password: str, *, is_new: bool) -> HttpResponse:
    context: dict[str, Any] = {"person": user, "password": password, "is_new": is_new}
    return render(request, "accounts/users_password_set.html", context)


def _unless_last(
    request: HttpRequest, user_id: int, change: Callable[[], HttpResponse]
) -> HttpResponse:
    get_object_or_404(User, pk=user_id)
    try:
        return change()
    except people.LastAdmin as error:
        return _user(request, user_id, problem=str(error), status=HTTPStatus.CONFLICT)


def _to(user: User) -> HttpResponse:
    return redirect("user", user.pk)


def _with_article(role: Role) -> str:
    return f"a {role.value}" if role is Role.VIEWER else f"an {role.value}"
