"""REST addresses of stock sync, below /api/stocksync/."""

from django.urls import path

from . import api, api_downloads, api_results

urlpatterns = [
    path("jobs/", api.JobList.as_view(), name="stocksync-jobs"),
    path("jobs/<int:pk>/", api.JobDetail.as_view(), name="stocksync-job"),
    path("jobs/<int:pk>/cancel/", api.CancelJob.as_view(), name="stocksync-cancel"),
    path("jobs/<int:pk>/repeat/", api.RepeatJob.as_view(), name="stocksync-repeat"),
    path("jobs/<int:pk>/output", api_downloads.Output.as_view(), name="stocksync-output"),
    path("jobs/<int:pk>/rejects", api_downloads.Rejects.as_view(), name="stocksync-rejects"),
    path("jobs/<int:pk>/summary.json", api_downloads.Summary.as_view(), name="stocksync-summary"),
    path("jobs/<int:pk>/trees/", api_results.TreeList.as_view(), name="stocksync-trees"),
    path(
        "jobs/<int:pk>/products/<int:product_id>/",
        api_results.ProductDetail.as_view(),
        name="stocksync-product",
    ),
    path(
        "jobs/<int:pk>/decisions/", api_results.DecisionList.as_view(), name="stocksync-decisions"
    ),
]
