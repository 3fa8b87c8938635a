"""Pages of transactions."""

from django.urls import path

from . import converters as converters  # registers them
from .ledger import views as ledger
from .orders import callback_views
from .orders import views as orders

app_name = "transactions"
urlpatterns = [
    path("orders/", orders.orders, name="orders"),
    path("orders/cost/", orders.cost, name="orders-cost"),
    path("orders/callbacks/", callback_views.callbacks, name="orders-callbacks"),
    path("orders/<uuid:order_id>/", orders.order, name="order"),
    path("ledger/", ledger.overview, name="ledger"),
    path("ledger/providers/<wholenumber:provider_id>/", ledger.provider, name="provider"),
    path("ledger/rejects/", ledger.rejects, name="ledger-rejects"),
    path("ledger/rejects.jsonl", ledger.rejects_jsonl, name="ledger-rejects-jsonl"),
]
