"""The page that shows two jobs side by side."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from config.listing import row_id

from . import comparison
from .views import with_files

CHOOSE = "Tick two jobs to compare them."


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """Jobs `a` and `b`, or the two of `job` that the list's form sends, the older one first."""
    chosen = sorted({int(each) for each in request.GET.getlist("job") if _is_id(each)})
    if chosen:
        if len(chosen) != 2:
            messages.warning(request, CHOOSE)
            return redirect(reverse("stocksync:jobs", query={"job": chosen}))
        query = {"a": chosen[0], "b": chosen[1]}
        return redirect(reverse("stocksync:compare", query=query))
    first, second = row_id(request, "a"), row_id(request, "b")
    if first is None or second is None:
        messages.warning(request, CHOOSE)
        return redirect("stocksync:jobs")
    a = get_object_or_404(with_files(), pk=first)
    b = get_object_or_404(with_files(), pk=second)
    whole = [comparison.is_whole(each) for each in (a, b)]
    counts = comparison.counts(a, b)
    products = comparison.products(a, b) if all(whole) else None
    same = comparison.same_events(a, b)
    judged = comparison.judged(a, b, same)
    context = {
        "a": a,
        "b": b,
        "same_events": same,
        "apart": comparison.may_be_same(a, b),
        "counts": counts,
        "products": products,
        "judged": judged,
        "nothing": all(whole)
        and not any(count.difference for count in counts)
        and not (products and products.total)
        and not (judged and judged.total),
    }
    return render(request, "stocksync/compare.html", context)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
