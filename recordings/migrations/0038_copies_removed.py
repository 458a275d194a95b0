"""Archives with a rule for how long they keep copies, orders to delete them, and the receipts of both."""

import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

# The last net: whatever the code does, no copy is called removed without a receipt that was permitted before, and no receipt
# is changed.
NET = """
CREATE FUNCTION recordings_removed_has_a_receipt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM recordings_removal x
        WHERE x.archive_id = NEW.archive_id AND x.path = NEW.path AND x.sha256 = NEW.sha256 AND x.state = 'removed'
          AND x.permitted_at > NEW.verified_at
    ) THEN
        RAISE EXCEPTION 'Copy % has no receipt of its removal', NEW.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER removed_has_a_receipt AFTER UPDATE OF removed_at ON recordings_copy FOR EACH ROW
    WHEN (NEW.removed_at IS NOT NULL AND OLD.removed_at IS NULL)
    EXECUTE FUNCTION recordings_removed_has_a_receipt();

CREATE FUNCTION recordings_removal_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The receipt of a removal is kept as it is: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER removal_is_kept BEFORE UPDATE OR DELETE ON recordings_removal FOR EACH ROW
    WHEN (OLD.state = 'removed') EXECUTE FUNCTION recordings_removal_is_kept();
"""
NO_NET = """
DROP TRIGGER removal_is_kept ON recordings_removal;
DROP FUNCTION recordings_removal_is_kept();
DROP TRIGGER removed_has_a_receipt ON recordings_copy;
DROP FUNCTION recordings_removed_has_a_receipt();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('recordings', "0037_bundles_looked_at_again"),
    ]

    operations = [
        migrations.CreateModel(
            name='Deletion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asked_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('reason', models.TextField()),
                ('query', models.TextField(blank=True)),
                ('tenants', models.JSONField(default=list)),
                ('recordings', models.PositiveBigIntegerField()),
                ('in_sea', models.PositiveBigIntegerField(default=0)),
                ('held', models.PositiveBigIntegerField(default=0)),
                ('copies', models.PositiveBigIntegerField(default=0)),
                ('bytes', models.PositiveBigIntegerField(default=0)),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Removal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('planned', 'Waiting'), ('removing', 'Being removed'), ('removed', 'Removed'), ('unknown', 'Outcome unknown'), ('refused', 'Kept')], default='planned', max_length=8)),
                ('asked_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('by', models.CharField(max_length=254)),
                ('path', models.TextField(blank=True, db_collation='C')),
                ('size', models.BigIntegerField(default=0)),
                ('sha256', models.CharField(blank=True, max_length=64)),
                ('rule', models.TextField(blank=True)),
                ('permitted_at', models.DateTimeField(blank=True, null=True)),
                ('removed_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('reason', models.TextField(blank=True)),
                ('reason_code', models.CharField(blank=True, max_length=40)),
                ('retry_at', models.DateTimeField(blank=True, null=True)),
                ('owner', models.CharField(blank=True, max_length=120)),
                ('epoch', models.PositiveIntegerField(default=1)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='RetentionDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('files', models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='RetentionPolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('enabled', models.BooleanField(default=False)),
                ('keep_days', models.PositiveIntegerField(default=365, validators=[django.core.validators.MinValueValidator(30), django.core.validators.MaxValueValidator(36500)])),
                ('cap_per_day', models.PositiveIntegerField(default=10000, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1000000)])),
                ('turned_on_at', models.DateTimeField(blank=True, null=True)),
                ('waits_for', models.TextField(blank=True)),
                ('waits_until', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.AddField(
            model_name='copy',
            name='removed_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='copy',
            name='removed_by_rule',
            field=models.TextField(blank=True, db_default=''),
        ),
        migrations.AddField(
            model_name='recording',
            name='removed_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='lookuprow',
            name='state',
            field=models.CharField(choices=[('found', 'Found'), ('partly', 'Partly'), ('removed', 'Removed'), ('missing', 'Missing'), ('expired', 'Expired'), ('lost', 'Lost'), ('repeated', 'Repeated'), ('malformed', 'Malformed')], default='missing', max_length=9),
        ),
        migrations.AddIndex(
            model_name='copy',
            index=models.Index(models.F('archive'), models.F('id'), condition=models.Q(('removed_at', None)), name='copy_kept'),
        ),
        migrations.AddIndex(
            model_name='copy',
            index=django.contrib.postgres.indexes.HashIndex(fields=['path'], name='copy_path'),
        ),
        migrations.AddConstraint(
            model_name='copy',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('removed_at', None), ('removed_by_rule', '')), models.Q(('removed_at__isnull', False), models.Q(('removed_by_rule', ''), _negated=True)), _connector='OR'), name='copy_removed_by_a_rule'),
        ),
        migrations.AddField(
            model_name='deletion',
            name='by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='removal',
            name='archive',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='removals', to='recordings.archive'),
        ),
        migrations.AddField(
            model_name='removal',
            name='copy',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='removals', to='recordings.copy'),
        ),
        migrations.AddField(
            model_name='removal',
            name='deletion',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='removals', to='recordings.deletion'),
        ),
        migrations.AddField(
            model_name='retentionday',
            name='archive',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='recordings.archive'),
        ),
        migrations.AddField(
            model_name='retentionpolicy',
            name='archive',
            field=models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='retention', to='recordings.archive'),
        ),
        migrations.AddField(
            model_name='retentionpolicy',
            name='turned_on_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='deletion',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='deletion_has_a_reason'),
        ),
        migrations.AddIndex(
            model_name='removal',
            index=models.Index(fields=['archive', '-id'], name='removal_newest'),
        ),
        migrations.AddIndex(
            model_name='removal',
            index=models.Index(models.F('lease_until'), condition=models.Q(('finished_at', None)), name='removal_open'),
        ),
        migrations.AddConstraint(
            model_name='removal',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['planned', 'removing', 'unknown'])), fields=('copy',), name='one_open_removal_per_copy'),
        ),
        migrations.AddConstraint(
            model_name='removal',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'removed'), _negated=True), models.Q(('permitted_at__isnull', False), ('removed_at__isnull', False), ('sha256__regex', '^[0-9a-f]{64}$'), models.Q(('rule', ''), _negated=True)), _connector='OR'), name='removed_with_a_receipt'),
        ),
        migrations.AddConstraint(
            model_name='removal',
            constraint=models.CheckConstraint(condition=models.Q(('state', 'planned'), ('state', 'refused'), ('permitted_at__isnull', False), _connector='OR'), name='removed_with_a_permit'),
        ),
        migrations.AddConstraint(
            model_name='removal',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at', None), ('state__in', ['planned', 'removing', 'unknown'])), models.Q(('finished_at__isnull', False), ('state__in', ['removed', 'refused'])), _connector='OR'), name='removal_finished_has_a_time'),
        ),
        migrations.AddConstraint(
            model_name='retentionday',
            constraint=models.UniqueConstraint(fields=('archive', 'day'), name='one_retention_count_per_day'),
        ),
        migrations.AddConstraint(
            model_name='retentionpolicy',
            constraint=models.CheckConstraint(condition=models.Q(('enabled', False), models.Q(('enabled', True), ('turned_on_at__isnull', False), ('turned_on_by__isnull', False)), _connector='OR'), name='retention_turned_on_by_somebody'),
        ),
        migrations.AddConstraint(
            model_name='retentionpolicy',
            constraint=models.CheckConstraint(condition=models.Q(('keep_days__range', (30, 36500))), name='retention_in_days', violation_error_message='An archive keeps its copies for 30 to 36,500 days.'),
        ),
        migrations.AddConstraint(
            model_name='retentionpolicy',
            constraint=models.CheckConstraint(condition=models.Q(('cap_per_day__range', (1, 1000000))), name='retention_cap_in_copies', violation_error_message='The cap is 1 to 1,000,000 copies a day.'),
        ),
        migrations.RunSQL(NET, NO_NET),
    ]
