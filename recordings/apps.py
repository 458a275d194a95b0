"""Register the product with Django."""

from django.apps import AppConfig


class RecordingsConfig(AppConfig):
    name = "recordings"

    def ready(self) -> None:
        from recordings import checks  # noqa: F401  (registers them)
