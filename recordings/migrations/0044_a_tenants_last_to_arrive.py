"""A tenant's recordings by their arrival, found without walking those of all others."""

from django.db import migrations, models

import recordings.models.recording


class Migration(migrations.Migration):
    dependencies = [("recordings", "0043_removals_by_file")]

    operations = [
        migrations.AddIndex(
            model_name="recording",
            index=models.Index(
                recordings.models.recording.Apart("tenant"), "arrived_at", "id", name="recording_tenant_arrived"
            ),
        ),
    ]
