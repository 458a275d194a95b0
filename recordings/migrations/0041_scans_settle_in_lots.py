from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("recordings", "0040_held_rows_are_kept")]

    operations = [
        migrations.AlterField("scan", "started_at", models.DateTimeField(db_default=Now())),
        migrations.AlterField("scan", "beat_at", models.DateTimeField(db_default=Now())),
        migrations.AddField("scan", "told_to", models.PositiveBigIntegerField(default=0)),
    ]
