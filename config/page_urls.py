"""Pages that belong to no single area, and the areas that are not built yet."""

from django.urls import path

from config import pages

urlpatterns = [
    path("stocksync/", pages.placeholder("stocksync"), name="stocksync"),
    path("streaming/sales/", pages.placeholder("sales"), name="sales"),
    path("streaming/prices/", pages.placeholder("prices"), name="prices"),
    path("transactions/orders/", pages.placeholder("orders"), name="orders"),
    path("transactions/ledger/", pages.placeholder("ledger"), name="ledger"),
    path("operations/", pages.operations, name="operations"),
]
