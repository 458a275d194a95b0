"""What a process has loaded is left out of the garbage collector's walks, in web processes and in workers."""

import subprocess
import sys

import pytest

LOADED = 100_000  # objects at the least: Django, the pages, boto3
WEB = "import gc, seaportal.wsgi; print(gc.get_freeze_count())"
WORKER = """
import gc, seaportal.celery as ours
from celery.signals import worker_process_init
import django; django.setup()
ours.app.loader.import_default_modules()
worker_process_init.send(sender=None)
print(gc.get_freeze_count())
"""


@pytest.mark.parametrize("program", [WEB, WORKER], ids=["web", "worker"])
def test_what_is_loaded_at_the_start_is_walked_through_no_more(program):
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(told.stdout) > LOADED
