"""REST addresses of streams, below /api/streaming/; stocks have their own, /api/stocks/."""

from django.urls import path

from . import converters as converters  # registers them
from .prices import api as prices
from .sales import api as sales

urlpatterns = [
    path("prices/", prices.Updater.as_view(), name="prices"),
    path("prices/dead-letters/", prices.DeadLetters.as_view(), name="prices-dead-letters"),
    path("sales/", sales.Overview.as_view(), name="sales"),
    path("sales/dead-letters/", sales.DeadLetters.as_view(), name="sales-dead-letters"),
    path("sales/<stockcode:stock_code>/", sales.StockCode.as_view(), name="sales-stock-code"),
]
stock_urlpatterns = [
    path("", prices.Stocks.as_view(), name="stocks"),
    path("<stockname:name>/", prices.Stock.as_view(), name="stock"),
]
