"""REST addresses of orders, below /api/."""

from django.urls import path

from .orders import api

urlpatterns = [
    # The specification's name, with and without a slash; the schema has one of them.
    path("BuyStock", api.BuyStock.as_view(), name="buy-stock"),
    path("BuyStock/", api.BuyStock.as_view(schema=None)),
    path("orders/", api.Orders.as_view(), name="orders"),
    path("orders/<uuid:order_id>/", api.OneOrder.as_view(), name="order"),
]
