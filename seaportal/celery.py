"""The Celery application. Messages only say that there may be work; the database holds the work itself."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "seaportal.settings")

app = Celery("seaportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
def keep_what_is_loaded(**_: Any) -> None:
    """Leave out of the garbage collector's walks what a worker has loaded: a walk through all of it takes 50 ms of some claim."""
    gc.collect()
    gc.freeze()
