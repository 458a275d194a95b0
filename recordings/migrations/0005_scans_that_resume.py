"""Scans that resume and skip what is unchanged; the tenant of a recording is guarded without a check for each row."""

import django.db.models.deletion
from django.db import migrations, models

# What the foreign key did, for the price of one lookup when a tenant is deleted instead of one for each row that is merged.
GUARD = """
CREATE FUNCTION recordings_tenant_keeps_its_recordings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM recordings_recording r WHERE r.tenant_id = OLD.id) THEN
        RAISE EXCEPTION 'The tenant % has recordings and cannot be deleted', OLD.name USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER tenant_keeps_its_recordings BEFORE DELETE ON recordings_tenant
    FOR EACH ROW EXECUTE FUNCTION recordings_tenant_keeps_its_recordings();
"""
UNGUARD = """
DROP TRIGGER tenant_keeps_its_recordings ON recordings_tenant;
DROP FUNCTION recordings_tenant_keeps_its_recordings();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('recordings', '0004_versions_may_share_a_file'),
    ]

    operations = [
        migrations.AddField(
            model_name='scan',
            name='epoch',
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.AddField(
            model_name='scan',
            name='shards_unchanged',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name='recording',
            name='tenant',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='recordings', to='recordings.tenant'),
        ),
        migrations.CreateModel(
            name='ScanMiss',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('recording', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='recordings.recording')),
                ('scan', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='misses', to='recordings.scan')),
            ],
            options={
                'indexes': [models.Index(models.F('recording'), name='scan_miss_recording')],
                'constraints': [models.UniqueConstraint(fields=('scan', 'recording'), name='missed_once_per_scan')],
            },
        ),
        migrations.CreateModel(
            name='Shard',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('after', models.TextField(blank=True, db_collation='C')),
                ('until', models.TextField(blank=True, db_collation='C', null=True)),
                ('digest', models.BinaryField()),
                ('listed', models.PositiveIntegerField()),
                ('unreadable', models.PositiveIntegerField(default=0)),
                ('scan', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='recordings.scan')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='shards', to='recordings.tenant')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('tenant', 'after'), name='one_shard_from_each_border')],
            },
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
