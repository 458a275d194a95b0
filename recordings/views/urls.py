"""Every address of the portal."""

from django.urls import path

from recordings.views import export, health, media, overview, recording, recordings, saving, sign_in

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("overview/live/", overview.live, name="overview_live"),
    path("sign-in/", sign_in.sign_in, name="sign_in"),
    path("sign-out/", sign_in.sign_out, name="sign_out"),
    path("welcome/", sign_in.welcome, name="welcome"),
    path("password/", sign_in.password, name="password"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("recordings/", recordings.recordings, name="recordings"),
    path("recordings/save/", saving.save, name="save"),
    path("recordings/<int:pk>/", recording.recording, name="recording"),
    path("recordings/export.csv", export.export_csv, name="export_csv"),
    path("recordings/<int:pk>/media", media.media, name="media"),
    path("recordings/<int:pk>/download", media.download, name="download"),
]
