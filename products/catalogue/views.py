"""Pages of the catalogue: they parse a request, call one service and render."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from config.listing import newest_first, row_id, total
from products.models import Import, Product


@require_safe
def product_list(request: HttpRequest) -> HttpResponse:
    """The newest products, by keyset pages."""
    page = newest_first(
        Product.objects.only("sku", "name", "description", "active", "updated_at"),
        before=row_id(request, "before"),
        after=row_id(request, "after"),
    )
    last_import = Import.objects.filter(state="done").first()
    context = {"page": page, "total": total(Product), "last_import": last_import}
    return render(request, "products/list.html", context)
