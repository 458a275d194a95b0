from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('recordings', '0036_downloads_counted'),
    ]

    operations = [
        migrations.AddField(model_name='bundle', name='looked_at', field=models.DateTimeField(null=True)),
        migrations.AddField(model_name='bundle', name='look_asked_at', field=models.DateTimeField(null=True)),
        migrations.AddField(model_name='bundle', name='look_beat_at', field=models.DateTimeField(null=True)),
        migrations.AddField(model_name='bundle', name='looked', field=models.PositiveIntegerField(default=0)),
        migrations.AddField(
            model_name='bundleentry',
            name='gone',
            field=models.TextField(blank=True, db_default=''),
        ),
        migrations.AddIndex(
            model_name='bundleentry',
            index=models.Index(models.F('bundle'), models.F('position'), name='bundle_entry_gone', condition=models.Q(('gone', ''), _negated=True)),
        ),
    ]
