"""Login, logout, password and API tokens; for admins all accounts."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from config.accounts import users_views, views

urlpatterns = [
    path("login/", views.LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("account/", views.account, name="account"),
    path("account/password/", views.PasswordChangeView.as_view(), name="password_change"),
    path("account/tokens/", views.create_token, name="token_create"),
    path("account/tokens/<int:token_id>/revoke/", views.revoke_token, name="token_revoke"),
    path("users/", users_views.users, name="users"),
    path("users/<int:user_id>/", users_views.user_page, name="user"),
    path("users/<int:user_id>/role/", users_views.change_role, name="user_role"),
    path("users/<int:user_id>/off/", users_views.switch_off, name="user_off"),
    path("users/<int:user_id>/on/", users_views.switch_on, name="user_on"),
    path("users/<int:user_id>/password/", users_views.new_password, name="user_password"),
]
