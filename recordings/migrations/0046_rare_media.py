"""Media types that few recordings have, or none: found without reading all the others."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recordings", "0045_kept_after_all")]

    operations = [
        migrations.AddIndex(
            model_name="recording",
            index=models.Index(
                "media_type",
                "sort_at",
                "id",
                condition=models.Q(("media_type__in", ["", "VOICE", "SCREEN"]), _negated=True),
                name="recording_rare_media",
            ),
        ),
    ]
