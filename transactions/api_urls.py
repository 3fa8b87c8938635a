"""REST addresses of the ledger, below /api/ledger/."""

from django.urls import path

from . import converters as converters  # registers them
from .ledger import api

urlpatterns = [
    path("", api.Balances.as_view(), name="ledger"),
    path("status/", api.Status.as_view(), name="ledger-status"),
    path("runs/", api.Runs.as_view(), name="ledger-runs"),
    path("rejects/", api.Rejects.as_view(), name="ledger-rejects"),
    path("<wholenumber:provider>/", api.Provider.as_view(), name="ledger-provider"),
    path("<wholenumber:provider>/history/", api.History.as_view(), name="ledger-history"),
]
