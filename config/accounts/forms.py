"""Forms of the account pages."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UsernameField
from django.contrib.auth.forms import PasswordChangeForm as DjangoPasswordChangeForm
from django.core.exceptions import ValidationError
from django.utils import timezone

from config.accounts import hashing, scopes, throttle
from config.accounts.models import Role, User
from config.accounts.permissions import may
from config.trading_users import USER, WORDS

EXPIRIES = {"30": "30 days", "90": "90 days", "365": "1 year", "": "never"}
ROLES = {
    Role.VIEWER: "sees everything, changes nothing",
    Role.EDITOR: "also imports files, changes products and webhooks, and buys for any trading user",
    Role.ADMIN: "also deletes the whole catalogue and looks after users",
}


class LoginForm(AuthenticationForm):
    """Username and password; `throttled` after too many failures, `busy` in a flood of logins."""

    error_messages = {
        "invalid_login": "This username and password do not match. Capitals matter in both.",
        "inactive": "This account is switched off. Ask whoever looks after Stockroom.",
        "throttled": "Too many failed attempts. Wait 5 minutes, then try again.",
        "busy": "Too many people are signing in just now. Try again in a few seconds.",
    }
    throttled = False
    busy = False

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        _dress(self)

    def clean(self) -> dict:
        try:
            with hashing.place():
                return self._check()
        except hashing.Busy:
            self.busy = True
            raise ValidationError(self.error_messages["busy"], code="busy") from None

    def _check(self) -> dict:
        account, address = self.cleaned_data.get("username"), self.request.META["REMOTE_ADDR"]
        if account and not throttle.attempt(account, address):
            self.throttled = True
            raise ValidationError(self.error_messages["throttled"], code="throttled")
        cleaned = super().clean()
        if account and self.get_user() is not None:
            throttle.forget(account, address)
        return cleaned


class PasswordChangeForm(DjangoPasswordChangeForm):
    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        _dress(self)


class TokenForm(forms.Form):
    """What a new API token is for and what it may do."""

    name = forms.CharField(
        max_length=80, help_text="What will use it, for example “nightly stock export”."
    )
    scopes = forms.MultipleChoiceField(
        error_messages={"required": "Choose at least one thing that the token may do."},
    )
    trading_users = forms.CharField(
        label="Trading users",
        required=False,
        max_length=2000,
        help_text="Whom orders may be placed for, separated by commas; * for everyone."
        " Only needed with Orders.",
    )
    expires = forms.ChoiceField(
        label="Valid for", choices=list(EXPIRIES.items()), required=False, initial="90"
    )

    def __init__(self, owner: User, *args, **kwargs) -> None:
        """A token can be given what its `owner` may do, and no more."""
        super().__init__(*args, **kwargs)
        self.allowed = [scope for scope in scopes.ALL if may(owner, scope)]
        self.fields["scopes"].choices = [(scope, scope) for scope in self.allowed]
        _dress(self)

    @property
    def may_write(self) -> bool:
        """Whether any area can be written: a column of the check boxes, or none."""
        return any(scope.endswith(":write") for scope in self.allowed)

    def clean_trading_users(self) -> list[str]:
        names = [name.strip() for name in self.cleaned_data["trading_users"].split(",")]
        names = list(dict.fromkeys(name for name in names if name))
        wrong = [name for name in names if name != "*" and not USER.fullmatch(name)]
        if wrong:
            shown = ", ".join(name[:64] for name in wrong[:5])
            raise ValidationError(f"No name of a trading user: {shown}. They are {WORDS}.")
        return names

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if "orders:write" in cleaned.get("scopes", ()) and cleaned.get("trading_users") == []:
            self.add_error(
                "trading_users", "Name whom it may place orders for, or enter * for everyone."
            )
        return cleaned

    def scope_rows(self) -> list[dict]:
        """The check boxes, an area a row: its key, its name and what is chosen."""
        chosen = set(self["scopes"].value() or [])
        return [
            {
                "area": area,
                "name": name,
                "read": f"{area}:read" in chosen,
                "write": f"{area}:write" in chosen,
            }
            for area, name in scopes.AREAS.items()
        ]

    @property
    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["expires"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class RoleForm(forms.Form):
    """What an account may do."""

    role = forms.ChoiceField(
        choices=[(role.value, f"{role.label}: {words}") for role, words in ROLES.items()],
        widget=forms.RadioSelect,
        error_messages={"required": "Choose a role."},
    )


class UserForm(RoleForm):
    """A new account; its password is generated."""

    username = UsernameField(
        max_length=150,
        validators=[User.username_validator],
        help_text="To sign in with: letters, digits and @ . + - _",
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        username = self.fields["username"].widget.attrs
        username |= {"class": "field", "autocomplete": "off"}


def _dress(form: forms.Form) -> None:
    for field in form.fields.values():
        field.widget.attrs["class"] = "field"
