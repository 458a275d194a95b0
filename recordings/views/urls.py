"""Every address of the portal."""

from django.urls import path

from recordings.views import export, health, media

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("recordings/export.csv", export.export_csv, name="export_csv"),
    path("recordings/<int:pk>/media", media.media, name="media"),
    path("recordings/<int:pk>/download", media.download, name="download"),
]
