"""What of a tenant's rows a legal hold keeps as it is: SQL for work that changes many rows at once.

Whoever changes them takes the lock that placing a hold takes (`models.release.locked_policies`).
"""

IN_FORCE = "h.lifted_at IS NULL AND (h.until IS NULL OR h.until > statement_timestamp())"
# A recording `r` that a hold covers: itself, its contact, its tenant, or a case that it is in.
RECORDING_HELD = f"""(
    EXISTS (SELECT FROM recordings_hold h WHERE h.recording_id = r.id AND {IN_FORCE})
    OR EXISTS (
        SELECT FROM recordings_hold h WHERE h.tenant_id = r.tenant_id AND h.recording_id IS NULL
        AND h.contact_id IN ('', r.contact_id) AND {IN_FORCE}
    ) OR EXISTS (
        SELECT FROM recordings_caserecording m JOIN recordings_hold h ON h.case_id = m.case_id
        WHERE m.recording_id = r.id AND {IN_FORCE}
    )
)"""
# What is told of a call `i`, under either of its IDs: its contact or tenant is held, or one of its recordings.
CALL_HELD = f"""(
    EXISTS (
        SELECT FROM recordings_hold h WHERE h.tenant_id = i.tenant_id AND h.recording_id IS NULL
        AND h.contact_id IN ('', i.contact_id, i.master_id) AND {IN_FORCE}
    ) OR EXISTS (
        SELECT FROM recordings_recording r WHERE r.tenant_id = i.tenant_id AND r.contact_id <> ''
        AND r.contact_id IN (i.contact_id, i.master_id) AND {RECORDING_HELD}
    )
)"""
