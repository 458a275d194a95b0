from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('recordings', '0035_counts_and_manifests_of_runs'),
    ]

    operations = [
        migrations.AddField(
            model_name='bundlefetch',
            name='went_on_at',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='bundlefetch',
            name='sent',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='bundlefetch',
            name='held_until',
            field=models.DateTimeField(null=True),
        ),
        # What was sent before it was counted is taken to be what it reached.
        migrations.RunSQL('UPDATE recordings_bundlefetch SET sent = reached', migrations.RunSQL.noop),
    ]
