"""The Django project: settings, URLs, Celery, WSGI, and the services that the portal can bring along itself."""

from seaportal.celery import app as celery_app

__all__ = ["celery_app"]
