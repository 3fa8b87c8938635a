"""How the API says no where a service of the catalogue raises. Used by api.py and api_bulk.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.reverse import reverse

from config.api_errors import Busy
from config.api_etags import Stale
from config.api_pages import bad_cursor
from products.models import Product

from . import editing, search
from .versions import version


class SkuTaken(APIException):
    """Another product has the SKU; the answer says which."""

    status_code = HTTPStatus.CONFLICT
    default_code = "sku_taken"

    def __init__(self, other: Product, request: Request) -> None:
        super().__init__(
            f"Another product has the SKU {other.sku}. Change that one, or give another SKU."
        )
        self.fields = {"sku": [f"Product {other.pk} has it: {other.sku}."]}
        url = reverse("product", [other.pk], request=request)
        self.other = {"id": other.pk, "url": url}


class SearchIncomplete(APIException):
    """Whoever asks can have seen only a part of what would be changed."""

    status_code = HTTPStatus.CONFLICT
    default_code = "search_incomplete"


class TooBroad(ValidationError):
    """The search was given up."""

    def __init__(self) -> None:
        super().__init__({"search": ["This took too long. Narrow it: more or longer words."]})


@contextmanager
def refusals(request: Request) -> Iterator[None]:
    """What services raise, as answers."""
    try:
        yield
    except Product.DoesNotExist:
        raise NotFound("There is no such product. It may have been deleted.") from None
    except editing.Busy as error:
        raise Busy(str(error)) from error
    except editing.Stale as error:
        raise Stale(version(error.current)) from None
    except editing.SkuTaken as error:
        raise SkuTaken(error.other, request) from None
    except search.BadCursor:
        raise bad_cursor() from None
    except search.SearchIncomplete as error:
        raise SearchIncomplete(str(error)) from None
    except search.SearchTooBroad:
        raise TooBroad from None
