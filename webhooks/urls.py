"""Pages of webhooks."""

from django.urls import path

from .deliveries import views as deliveries
from .endpoints import views as endpoints
from .guide import guide

app_name = "webhooks"
urlpatterns = [
    path("", endpoints.endpoint_list, name="endpoints"),
    path("endpoints/new/", endpoints.new_endpoint, name="new"),
    path("endpoints/<int:pk>/", endpoints.endpoint, name="endpoint"),
    path("endpoints/<int:pk>/edit/", endpoints.edit_endpoint, name="edit"),
    path("endpoints/<int:pk>/state/", endpoints.set_state, name="state"),
    path("endpoints/<int:pk>/delete/", endpoints.delete_endpoint, name="delete"),
    path("endpoints/<int:pk>/rotate/", endpoints.rotate_secret, name="rotate"),
    path("endpoints/<int:pk>/test/", endpoints.send_test, name="test"),
    path("endpoints/<int:pk>/test/<int:delivery_pk>/", endpoints.test_result, name="test-result"),
    path("guide/", guide, name="guide"),
    path("deliveries/", deliveries.delivery_list, name="deliveries"),
    path("deliveries/replay/", deliveries.replay, name="replay"),
    path("deliveries/<int:pk>/", deliveries.delivery, name="delivery"),
    path("deliveries/<int:pk>/retry/", deliveries.retry, name="retry"),
]
