"""Pages of stock sync."""

from django.urls import path

from .results import compare_views, tree_views, upload_views, views

app_name = "stocksync"
urlpatterns = [
    path("", views.job_list, name="jobs"),
    path("new/", upload_views.new_job, name="new"),
    path("compare/", compare_views.compare, name="compare"),
    path("<int:pk>/", views.job, name="job"),
    path("<int:pk>/trees/", views.job, {"tab": "trees"}, name="trees"),
    path("<int:pk>/commands/", views.job, {"tab": "commands"}, name="commands"),
    path("<int:pk>/not-applied/", views.job, {"tab": "ignored"}, name="ignored"),
    path("<int:pk>/trees/<int:root_id>/", tree_views.tree, name="tree"),
    path("<int:pk>/products/", tree_views.find_product, name="find-product"),
    path("<int:pk>/products/<int:product_id>/", tree_views.product, name="product"),
    path("<int:pk>/cancel/", views.cancel, name="cancel"),
    path("<int:pk>/repeat/", views.repeat, name="repeat"),
    path("<int:pk>/output.jsonl", views.output_jsonl, name="output"),
    path("<int:pk>/rejects.jsonl", views.rejects_jsonl, name="rejects"),
    path("<int:pk>/summary.json", views.summary_json, name="summary"),
]
