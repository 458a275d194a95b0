"""Let PostgreSQL itself refuse any change to the audit trail, and give the three roles their groups."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION recordings_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit trail is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON recordings_auditentry
    FOR EACH ROW EXECUTE FUNCTION recordings_audit_is_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON recordings_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION recordings_audit_is_append_only();
"""
ALLOW = """
DROP TRIGGER audit_no_truncate ON recordings_auditentry;
DROP TRIGGER audit_no_change ON recordings_auditentry;
DROP FUNCTION recordings_audit_is_append_only();
"""
ROLES = ["compliance", "admin", "supervisor"]


def make_groups(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("recordings", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [
        migrations.RunSQL(REFUSE, ALLOW),
        migrations.RunPython(make_groups, migrations.RunPython.noop),
    ]
