"""Login, logout, password and API tokens."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from config.accounts import views

urlpatterns = [
    path("login/", views.LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("account/", views.account, name="account"),
    path("account/password/", views.PasswordChangeView.as_view(), name="password_change"),
    path("account/tokens/", views.create_token, name="token_create"),
    path("account/tokens/<int:token_id>/revoke/", views.revoke_token, name="token_revoke"),
]
