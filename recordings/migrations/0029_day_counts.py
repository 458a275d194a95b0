"""Counts by day of arrival, kept by triggers in the transaction that changes a recording."""

import django.db.models.deletion
from django.db import migrations, models

# One statement's changes at a time, from its transition tables. A statement that changes nothing that is counted adds no row.
COUNT = """
CREATE FUNCTION recordings_count_{name}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO recordings_daycount (tenant_id, day, seen, in_sea, unsaved, bytes)
    SELECT * FROM (
        SELECT tenant_id, (arrived_at AT TIME ZONE 'UTC')::date, sum(n) AS seen,
            coalesce(sum(n) FILTER (WHERE presence = 'in_sea'), 0) AS in_sea,
            coalesce(sum(n) FILTER (WHERE presence = 'in_sea' AND saved_at IS NULL), 0) AS unsaved,
            coalesce(sum(n * size) FILTER (WHERE presence = 'in_sea'), 0) AS bytes
        FROM ({rows}) changed GROUP BY 1, 2
    ) sums WHERE (seen, in_sea, unsaved, bytes) <> (0, 0, 0, 0);
    RETURN NULL;
END
$body$;
CREATE TRIGGER recording_days_{name} AFTER {name} ON recordings_recording
REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION recordings_count_{name}()
"""
UNCOUNT = "DROP TRIGGER recording_days_{name} ON recordings_recording; DROP FUNCTION recordings_count_{name}()"
ROWS = "SELECT {n} AS n, tenant_id, arrived_at, presence, saved_at, size FROM {table}"
NEW, OLD = ROWS.format(n=1, table="new_rows"), ROWS.format(n=-1, table="old_rows")
WHEN = {
    "insert": ("NEW TABLE AS new_rows", NEW),
    "update": ("OLD TABLE AS old_rows NEW TABLE AS new_rows", f"{NEW} UNION ALL {OLD}"),
    "delete": ("OLD TABLE AS old_rows", OLD),
}
EMPTIED = """
CREATE FUNCTION recordings_count_nothing() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    DELETE FROM recordings_daycount;
    RETURN NULL;
END
$body$;
CREATE TRIGGER recording_days_truncate AFTER TRUNCATE ON recordings_recording
FOR EACH STATEMENT EXECUTE FUNCTION recordings_count_nothing()
"""
NOT_EMPTIED = "DROP TRIGGER recording_days_truncate ON recordings_recording; DROP FUNCTION recordings_count_nothing()"
# What is there already; the triggers' lock keeps writers out until this migration ends.
BEGIN = """
INSERT INTO recordings_daycount (tenant_id, day, seen, in_sea, unsaved, bytes)
SELECT tenant_id, (arrived_at AT TIME ZONE 'UTC')::date, count(*), count(*) FILTER (WHERE presence = 'in_sea'),
    count(*) FILTER (WHERE presence = 'in_sea' AND saved_at IS NULL), coalesce(sum(size) FILTER (WHERE presence = 'in_sea'), 0)
FROM recordings_recording GROUP BY 1, 2
"""


class Migration(migrations.Migration):
    dependencies = [("recordings", "0028_saved_searches")]

    operations = [
        migrations.CreateModel(
            name="DayCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("seen", models.BigIntegerField()),
                ("in_sea", models.BigIntegerField()),
                ("unsaved", models.BigIntegerField()),
                ("bytes", models.BigIntegerField()),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="recordings.tenant",
                    ),
                ),
            ],
        ),
        *(
            migrations.RunSQL(
                COUNT.format(name=name, tables=tables, rows=rows), UNCOUNT.format(name=name)
            )
            for name, (tables, rows) in WHEN.items()
        ),
        migrations.RunSQL(EMPTIED, NOT_EMPTIED),
        migrations.RunSQL(BEGIN, migrations.RunSQL.noop),
    ]
