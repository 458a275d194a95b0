"""A process that fills the portal with recordings and says what to ask it for."""

from benchmarks.orders import Answer, follow

# A contact in three has lines of call metadata's kind of work to look for; a recording in two has a copy.
FILL = """
INSERT INTO recordings_recording (tenant_id, key, size, etag, arrived_at, started_at, contact_id, media_type, media_raw,
    item_id, presence, missed_scans, saved_at)
SELECT %s, to_char(at, 'YYYY-MM-DD-HH24-MI-SS') || '_' || contact || '_Voice_' || item || '.mp4', 1000 + n %% 5000000,
    md5(n::text), at + interval '1 hour', at, contact, 'VOICE', 'Voice', item, 'in_sea', 0,
    CASE WHEN n %% 2 = 0 THEN at + interval '2 hours' END
FROM (
    SELECT n, now() - n * interval '2 seconds' AS at, (100000000000 + n / 3)::text AS contact, md5('item' || n) AS item
    FROM generate_series(1, %s) n
) told
"""
COPIES = """
INSERT INTO recordings_copy (recording_id, archive_id, path, size, sha256, etag, stored_at, verified_at)
SELECT id, %s, '2026/' || key, size, md5(key) || md5(etag), etag, saved_at, saved_at
FROM recordings_recording WHERE saved_at IS NOT NULL
"""
PERSON = "bench@example.com"


def _migrate() -> Answer:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return {}


def _fill(rows: int) -> Answer:
    from django.contrib.auth.models import Group
    from django.db import connection
    from django.test import Client
    from psycopg import ClientCursor

    from recordings.models import Archive, Recording, Role, Tenant, User
    from recordings.search import csv

    tenant, _ = Tenant.objects.get_or_create(name="Bench export", defaults={"location": "s3://bench/"})
    archive, _ = Archive.objects.get_or_create(name="Bench export")
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE recordings_recording CASCADE")
        cursor.execute(FILL, [tenant.pk, rows])
        cursor.execute(COPIES, [archive.pk])
        cursor.execute("VACUUM ANALYZE recordings_recording, recordings_copy")
        person = User.objects.filter(email=PERSON).first() or User.objects.create_user(PERSON)
        person.groups.set([Group.objects.get(name=Role.SUPERVISOR)])
        client = Client()
        client.force_login(person)
        statement, params, headings = csv.select(Recording.objects.for_user(person))
        said = ClientCursor(connection.connection).mogrify(statement, params)
    return {
        "path": "/recordings/export.csv?bom=no",
        "few": "/recordings/export.csv?bom=no&q=100000000001",
        "cookie": f"sessionid={client.cookies['sessionid'].value}",
        "statement": " ".join(said.split()),
        "heading": ",".join(headings) + "\n",
    }


if __name__ == "__main__":
    follow({"migrate": _migrate, "fill": _fill})
