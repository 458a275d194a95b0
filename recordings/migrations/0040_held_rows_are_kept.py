"""What a legal hold covers cannot be deleted, whoever tries: by the ORM, or by hand."""

from django.db import migrations

GUARD = """
CREATE FUNCTION recordings_is_held(recording bigint, tenant bigint, contact text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM recordings_hold h WHERE h.lifted_at IS NULL AND (h.until IS NULL OR h.until > statement_timestamp())
        AND (h.recording_id = recording OR h.tenant_id = tenant AND h.recording_id IS NULL AND h.contact_id IN ('', contact))
    ) OR EXISTS (
        SELECT FROM recordings_caserecording m JOIN recordings_hold h ON h.case_id = m.case_id
        WHERE m.recording_id = recording AND h.lifted_at IS NULL AND (h.until IS NULL OR h.until > statement_timestamp())
    )
$$;

-- Each waits for a hold that is just being placed: its lock is taken here too.
CREATE FUNCTION recordings_held_recording_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM recordings_releasepolicy WHERE tenant_id = OLD.tenant_id FOR SHARE;
    IF recordings_is_held(OLD.id, OLD.tenant_id, OLD.contact_id) THEN
        RAISE EXCEPTION 'Recording % is on legal hold and cannot be deleted', OLD.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER held_recording_is_kept BEFORE DELETE ON recordings_recording
    FOR EACH ROW EXECUTE FUNCTION recordings_held_recording_is_kept();

CREATE FUNCTION recordings_held_copy_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM recordings_releasepolicy p JOIN recordings_recording r ON r.tenant_id = p.tenant_id
        WHERE r.id = OLD.recording_id FOR SHARE OF p;
    IF EXISTS (
        SELECT FROM recordings_recording r WHERE r.id = OLD.recording_id AND recordings_is_held(r.id, r.tenant_id, r.contact_id)
    ) THEN
        RAISE EXCEPTION 'Copy % is of a recording on legal hold and cannot be deleted', OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER held_copy_is_kept BEFORE DELETE ON recordings_copy
    FOR EACH ROW EXECUTE FUNCTION recordings_held_copy_is_kept();

CREATE FUNCTION recordings_held_member_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM recordings_case WHERE id = OLD.case_id FOR SHARE;
    IF EXISTS (
        SELECT FROM recordings_hold h WHERE h.case_id = OLD.case_id AND h.lifted_at IS NULL
        AND (h.until IS NULL OR h.until > statement_timestamp())
    ) THEN
        RAISE EXCEPTION 'Case % is on legal hold and nothing can be removed from it', OLD.case_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER held_member_is_kept BEFORE DELETE ON recordings_caserecording
    FOR EACH ROW EXECUTE FUNCTION recordings_held_member_is_kept();

CREATE FUNCTION recordings_hold_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A hold is lifted, never deleted: what was held, and until when, stays known'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER hold_is_kept BEFORE DELETE ON recordings_hold FOR EACH ROW EXECUTE FUNCTION recordings_hold_is_kept();
"""
UNGUARD = """
DROP TRIGGER hold_is_kept ON recordings_hold;
DROP FUNCTION recordings_hold_is_kept();
DROP TRIGGER held_member_is_kept ON recordings_caserecording;
DROP FUNCTION recordings_held_member_is_kept();
DROP TRIGGER held_copy_is_kept ON recordings_copy;
DROP FUNCTION recordings_held_copy_is_kept();
DROP TRIGGER held_recording_is_kept ON recordings_recording;
DROP FUNCTION recordings_held_recording_is_kept();
DROP FUNCTION recordings_is_held(bigint, bigint, text);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("recordings", "0039_case_members"),
    ]

    operations = [
        migrations.RunSQL(GUARD, UNGUARD),
    ]
