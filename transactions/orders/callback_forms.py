"""The form of a default callback URL."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from config.field_rules import Wrong
from config.trading_users import USER

from . import callbacks


class CallbackForm(forms.Form):
    """A URL for one trading user or for all. Looks up the URL's host: takes up to 2 s."""

    user = forms.CharField(
        label="Trading user",
        required=False,
        max_length=64,
        help_text="Like user2. Empty: all who have no URL of their own.",
    )
    url = forms.CharField(
        label="URL",
        max_length=callbacks.URL_CHARACTERS,
        error_messages={"required": "Enter a URL."},
        help_text="It gets a signed POST when an order is decided that names no callback_url.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs |= {"class": "field", "autocomplete": "off", "spellcheck": "false"}
        self.fields["url"].widget.attrs["inputmode"] = "url"

    def clean_user(self) -> str:
        user: str = self.cleaned_data["user"]
        if user and not USER.fullmatch(user):
            raise ValidationError(
                "Trading users are called user and a number, like user2, in small letters."
            )
        return user

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            callbacks.check(url, look_up=True)
        except Wrong as error:
            raise ValidationError(error.messages) from None
        return url
