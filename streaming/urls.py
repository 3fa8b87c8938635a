"""Pages of streams."""

from django.urls import path

from . import converters as converters  # registers them
from .prices import views as prices
from .sales import views as sales

app_name = "streaming"
urlpatterns = [
    path("prices/", prices.overview, name="prices"),
    path("prices/dead-letters/", prices.dead_letters, name="prices-dead-letters"),
    path("prices/dead-letters.jsonl", prices.dead_letters_jsonl, name="prices-dead-letters-jsonl"),
    path("prices/stocks/<stockname:name>/", prices.stock, name="stock"),
    path("sales/", sales.overview, name="sales"),
    path("sales/dead-letters/", sales.dead_letters, name="dead-letters"),
    path("sales/dead-letters.jsonl", sales.dead_letters_jsonl, name="dead-letters-jsonl"),
    path("sales/<stockcode:stock_code>/", sales.stock_code, name="stock-code"),
]
