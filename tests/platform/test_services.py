"""The S3 servers that the other tests stand on."""

from datetime import timedelta

from django.utils import timezone

from tests.services import client


def listed(server):
    """List a server's bucket with a client that is not ours."""
    rows = client(server).list_objects_v2(Bucket=server.bucket, Prefix="recordings/").get("Contents", [])
    return {row["Key"]: row["LastModified"] for row in rows}


def test_rclone_shows_a_recording_as_having_arrived_when_we_say(rclone_s3):
    arrived = timezone.now().replace(microsecond=0) - timedelta(days=29)
    rclone_s3.put("recordings/a.mp4", b"bytes", arrived)
    assert listed(rclone_s3) == {"recordings/a.mp4": arrived}


def test_rclone_shows_at_once_what_changed_after_a_listing(rclone_s3):
    rclone_s3.put("recordings/a.mp4", b"bytes", timezone.now())
    assert list(listed(rclone_s3)) == ["recordings/a.mp4"]
    rclone_s3.put("recordings/b.mp4", b"bytes", timezone.now())
    rclone_s3.delete("recordings/a.mp4")
    assert list(listed(rclone_s3)) == ["recordings/b.mp4"]


def test_rclone_comes_back_with_its_data(rclone_s3):
    rclone_s3.put("recordings/a.mp4", b"bytes", timezone.now())
    rclone_s3.stop()
    rclone_s3.start()
    assert list(listed(rclone_s3)) == ["recordings/a.mp4"]
