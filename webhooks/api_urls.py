"""REST addresses of webhooks, below /api/webhooks/."""

from django.urls import path

from .deliveries import api as deliveries
from .endpoints import api as endpoints

urlpatterns = [
    path("event-types/", endpoints.EventTypeList.as_view(), name="webhook-event-types"),
    path("endpoints/", endpoints.EndpointList.as_view(), name="webhook-endpoints"),
    path("endpoints/<int:pk>/", endpoints.EndpointDetail.as_view(), name="webhook-endpoint"),
    path(
        "endpoints/<int:pk>/rotate-secret/", endpoints.RotateSecret.as_view(), name="webhook-rotate"
    ),
    path("endpoints/<int:pk>/test/", endpoints.SendTest.as_view(), name="webhook-test"),
    path("deliveries/", deliveries.DeliveryList.as_view(), name="webhook-deliveries"),
    path("deliveries/<int:pk>/", deliveries.DeliveryDetail.as_view(), name="webhook-delivery"),
    path(
        "deliveries/<int:pk>/attempts/", deliveries.AttemptList.as_view(), name="webhook-attempts"
    ),
    path("deliveries/<int:pk>/retry/", deliveries.Retry.as_view(), name="webhook-retry"),
    path("replay/", deliveries.Replay.as_view(), name="webhook-replay"),
]
