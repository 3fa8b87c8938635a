"""REST API of products."""

from rest_framework import generics

from config.api_pages import NewestFirst
from products.models import Product

from .serializers import ProductSerializer


class ProductList(generics.ListAPIView):
    """`/api/products/`: newest first."""

    scope_area = "catalogue"
    serializer_class = ProductSerializer
    pagination_class = NewestFirst
    queryset = Product.objects.all()
