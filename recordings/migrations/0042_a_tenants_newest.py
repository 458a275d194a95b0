"""The newest recordings of one tenant, found without walking those of all others."""

from django.db import migrations, models

import recordings.models.recording


class Migration(migrations.Migration):
    dependencies = [("recordings", "0041_scans_settle_in_lots")]

    operations = [
        migrations.AddIndex(
            model_name="recording",
            index=models.Index(
                recordings.models.recording.Apart("tenant"), "sort_at", "id", name="recording_tenant_newest"
            ),
        ),
    ]
