"""The connection test: a checklist in words that writes nothing and needs no right beyond the folder."""

import pytest

from recordings.stores.probe import STEPS, probe
from tests.stores.conftest import Answer, s3_error, s3_page


def outcomes(report):
    return {check.name: check.outcome for check in report.checks}


def sentence(report, name):
    return next(check.sentence for check in report.checks if check.name == name)


def run(endpoint, *, folder="bucket/folder/", access_key="OWNERKEY", secret_key="OWNERSECRET", region=None):
    return probe(
        location_text=f"{endpoint}/{folder}",
        access_key=access_key,
        secret_key=secret_key,
        region=region,
        allow_private=True,
    )


def test_a_folder_with_files_works(server):
    client = server.client()
    client.put_object(Bucket="bucket", Key="probed/one.mp4", Body=b"one")
    before = client.list_objects_v2(Bucket="bucket")["KeyCount"]
    report = run(server.endpoint, folder="bucket/probed/")
    assert outcomes(report) == {
        "File Location": "good",
        "Reachable": "good",
        "TLS": "warn",
        "Keys and clock": "good",
        "List": "good",
        "Read": "good",
        "Delete": "skip",
    }
    assert (report.headline, report.usable) == ("Works", True)
    assert "1 file" in sentence(report, "List")
    assert report.location.prefix == "probed/"
    assert client.list_objects_v2(Bucket="bucket")["KeyCount"] == before


def test_an_empty_folder_can_be_saved(server):
    report = run(server.endpoint, folder="bucket/nothing-here/")
    assert (report.headline, report.usable) == ("Works, nothing to see yet", True)
    assert "empty" in sentence(report, "List")
    assert outcomes(report)["Read"] == "skip"


def test_no_access_tells_both_readings_and_can_be_saved(weed):
    access_key, secret_key = weed.folder_key
    report = run(weed.endpoint, folder="bucket/other/", access_key=access_key, secret_key=secret_key)
    assert (report.headline, report.usable) == ("Works, nothing to see yet", True)
    assert outcomes(report)["List"] == "warn"
    assert "it is empty" in sentence(report, "List")
    assert "belongs to another folder" in sentence(report, "List")


@pytest.mark.parametrize(
    ("changes", "step", "words"),
    [
        ({"secret_key": "WR0NG+SECRET"}, "Keys and clock", "secret access key does not belong"),
        ({"access_key": "NOBODY"}, "Keys and clock", "does not know this access key"),
        ({"secret_key": ""}, "Keys and clock", "Enter the access key"),
        ({"secret_key": "with space"}, "Keys and clock", "without spaces"),
        ({"folder": "no-such-bucket/folder/"}, "List", "no bucket of this name"),
        ({"folder": "bucket"}, "File Location", "folder after the bucket"),
    ],
)
def test_what_is_wrong_is_said_at_its_step_and_never_with_the_secret(rclone, changes, step, words):
    report = run(rclone.endpoint, **changes)
    assert outcomes(report)[step] == "bad"
    assert words in sentence(report, step)
    assert (report.headline, report.usable) == (f"Does not work: {step}", False)
    assert [check.name for check in report.checks] == list(STEPS)
    assert "WR0NG+SECRET" not in repr(report)


def test_a_server_that_is_away_or_without_tls_is_told(rclone):
    assert outcomes(run("http://127.0.0.1:1"))["Reachable"] == "bad"
    assert outcomes(run("https://nowhere.invalid"))["Reachable"] == "bad"
    assert outcomes(run(rclone.endpoint.replace("http:", "https:")))["TLS"] == "bad"


def test_private_addresses_are_refused_unless_allowed(rclone):
    report = probe(
        location_text=f"{rclone.endpoint}/bucket/folder/",
        access_key="a",
        secret_key="b",
        region=None,
        allow_private=False,
    )
    assert outcomes(report)["Reachable"] == "bad"
    assert "not allowed" in sentence(report, "Reachable")


def test_another_region_is_found_and_used(script):
    moved = s3_error("PermanentRedirect", 301, headers={"x-amz-bucket-region": "us-west-2"})
    script.answer = lambda method, path: moved if len(script.asked) == 1 else s3_page([])
    report = run(script.endpoint, region="eu-west-1")
    assert report.region == "us-west-2"
    assert outcomes(report)["Region"] == "warn"
    assert report.usable


def test_a_region_that_is_not_told_has_to_be_chosen(script):
    script.answer = lambda method, path: s3_error("PermanentRedirect", 301)
    report = run(script.endpoint)
    assert (outcomes(report)["Region"], report.usable) == ("bad", False)


def test_a_skewed_clock_is_told_with_its_difference(script):
    old = {"Date": "Mon, 02 Nov 2020 03:04:05 GMT"}
    script.answer = lambda method, path: s3_error("RequestTimeTooSkewed", 403, headers=old)
    report = run(script.endpoint)
    assert (outcomes(report)["Keys and clock"], report.usable) == ("bad", False)
    assert "min" in sentence(report, "Keys and clock")


def test_a_key_that_lists_but_cannot_read_is_told(script):
    script.answer = lambda method, path: (
        s3_page(["folder/a"]) if "list-type" in path else s3_error("AccessDenied", 403)
    )
    report = run(script.endpoint)
    assert (report.headline, report.usable, outcomes(report)["Read"]) == (
        "Lists, but cannot read",
        True,
        "bad",
    )


def test_a_web_page_instead_of_a_bucket_is_told(script):
    script.answer = lambda method, path: Answer(200, b"<html>Sign in</html>")
    report = run(script.endpoint)
    assert report.usable is False
    assert "does not answer as an S3 server" in sentence(report, "List")


def test_nothing_but_the_folder_is_asked_for(script):
    script.answer = lambda method, path: (
        s3_page(["folder/a"]) if "list-type" in path else Answer(200, b"body")
    )
    run(script.endpoint)
    assert {method for method, _ in script.asked} == {"GET"}
    assert all("prefix=folder%2F" in path or path.startswith("/bucket/folder/") for _, path in script.asked)
