"""The WSGI application that gunicorn serves with threads: a long stream is a thread, not an event loop."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "seaportal.settings")

application = get_wsgi_application()
