"""The URL map. The product's pages are in `recordings.views.urls`."""

from django.urls import include, path

urlpatterns = [path("", include("recordings.views.urls"))]
