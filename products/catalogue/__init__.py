"""The catalogue: find, edit and delete products, by page and by API."""
