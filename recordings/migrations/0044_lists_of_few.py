"""A tenant's recordings by their arrival, and the unsaved by their start, found without walking all others; the lost counted by tenant."""

from django.db import migrations, models

import recordings.models.recording


class Migration(migrations.Migration):
    dependencies = [("recordings", "0043_removals_by_file")]

    operations = [
        migrations.RemoveIndex(model_name="recording", name="recording_lost"),
        migrations.AddIndex(
            model_name="recording",
            index=models.Index(
                "gone_at",
                "id",
                condition=models.Q(models.Q(("presence", "in_sea"), _negated=True), ("saved_at", None)),
                include=("tenant",),
                name="recording_lost",
            ),
        ),
        migrations.AddIndex(
            model_name="recording",
            index=models.Index(
                recordings.models.recording.Apart("tenant"), "arrived_at", "id", name="recording_tenant_arrived"
            ),
        ),
        migrations.AddIndex(
            model_name="recording",
            index=models.Index(
                "sort_at",
                "id",
                "expires_at",
                condition=models.Q(presence="in_sea", saved_at=None),
                include=("media_type", "tenant"),
                name="recording_unsaved_newest",
            ),
        ),
    ]
