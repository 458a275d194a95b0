"""Once: what was called lost before a good copy in one of its archives counted. Losses are few, and an index holds nothing else."""

from django.db import migrations

GOOD = "FROM recordings_copy c WHERE c.recording_id = r.id AND c.failed_at IS NULL AND c.removed_at IS NULL"
LOST = "r.presence <> 'in_sea' AND r.saved_at IS NULL"
# Before that, the alerts of such tenants: they end with the last loss that nobody knows of, and count no more than there are.
ALERTS = f"""
UPDATE recordings_alert a SET
    count = CASE WHEN told.lost > 0 THEN least(a.count, told.lost) ELSE a.count END,
    resolved_at = CASE WHEN told.lost = 0 THEN now() END
FROM (
    SELECT tenant_id, count(*) FILTER (WHERE NOT kept AND loss_id IS NULL) AS lost
    FROM (SELECT r.tenant_id, r.loss_id, EXISTS (SELECT {GOOD}) AS kept FROM recordings_recording r WHERE {LOST}) each_one
    GROUP BY tenant_id HAVING bool_or(kept)
) told
WHERE a.kind = 'lost' AND a.resolved_at IS NULL AND a.tenant_id = told.tenant_id
"""
KEEP = f"""
UPDATE recordings_recording r SET saved_at = (SELECT min(c.verified_at) {GOOD}) WHERE {LOST} AND EXISTS (SELECT {GOOD})
"""


class Migration(migrations.Migration):
    dependencies = [("recordings", "0044_lists_of_few")]

    operations = [migrations.RunSQL([ALERTS, KEEP], migrations.RunSQL.noop)]
