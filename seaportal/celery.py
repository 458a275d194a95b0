"""The Celery application. Messages only say that there may be work; the database holds the work itself."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "seaportal.settings")

app = Celery("seaportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
