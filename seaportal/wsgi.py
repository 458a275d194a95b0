"""The WSGI application that gunicorn serves with threads: a long stream is a thread, not an event loop."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "seaportal.settings")

application = get_wsgi_application()

# Load all pages before the first request, and leave what is loaded out of the garbage collector's walks: each would take
# some page 50 ms.
get_resolver().url_patterns  # noqa: B018 - reading it loads them
gc.collect()
gc.freeze()
