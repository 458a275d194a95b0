"""The receipt of a file's removal is found by its path, however many there are: the database asks for it at each removal."""

import django.contrib.postgres.indexes
from django.db import migrations, models

BY_PATH = """
CREATE OR REPLACE FUNCTION recordings_removed_has_a_receipt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM recordings_removal x
        WHERE x.path = NEW.path AND x.path <> '' AND x.archive_id = NEW.archive_id AND x.sha256 = NEW.sha256
          AND x.state = 'removed' AND x.permitted_at > NEW.verified_at
    ) THEN
        RAISE EXCEPTION 'Copy % has no receipt of its removal', NEW.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("recordings", "0042_a_tenants_newest")]

    operations = [
        migrations.AddIndex(
            model_name="removal",
            index=django.contrib.postgres.indexes.HashIndex(
                condition=models.Q(("path", ""), _negated=True), fields=["path"], name="removal_path"
            ),
        ),
        migrations.RunSQL(BY_PATH, migrations.RunSQL.noop),
    ]
