"""The URL map. The product's pages are in `recordings.views.urls`."""

from django.urls import include, path

urlpatterns = [path("", include("recordings.views.urls"))]

handler400 = "recordings.views.errors.bad_request"
handler403 = "recordings.views.errors.denied"
handler404 = "recordings.views.errors.not_found"
handler500 = "recordings.views.errors.failed"
