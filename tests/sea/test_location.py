"""The File Location in every form that people paste (facts F2)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recordings.sea.location import LocationError, parse_location

GLOBAL = "https://s3.amazonaws.com"
WEST = "https://s3.us-west-2.amazonaws.com"


@pytest.mark.parametrize(
    "text",
    [
        "https://s3.amazonaws.com/my-s3-bucket/folder/",
        "https://s3.amazonaws.com/my-s3-bucket/folder",
        "HTTPS://S3.amazonaws.com:443/my-s3-bucket/folder/",
        "  https://s3.amazonaws.com/my-s3-bucket/folder/ \n",
        "“https://s3.amazonaws.com/my-s3-bucket/folder/”",
        "<https://s3.amazonaws.com/my-s3-bucket/folder/>",
        "File Location: https://s3.amazonaws.com/my-s3-bucket/folder/",
        "\ufeffhttps://s3.amazonaws.com/my-s3-bucket/\u200bfolder/",
        "https://my-s3-bucket.s3.amazonaws.com/folder/",
        "https://my-s3-bucket.s3-accelerate.amazonaws.com/folder/",
        "s3.amazonaws.com/my-s3-bucket/folder/",
        "my-s3-bucket.s3.amazonaws.com/folder",
        "//s3.amazonaws.com/my-s3-bucket/folder/",
        "s3://my-s3-bucket/folder/",
        "S3://my-s3-bucket/folder",
        "s3a://my-s3-bucket/folder/",
        "my-s3-bucket/folder/",
        "my-s3-bucket/folder",
        "/my-s3-bucket/folder/",
        "'my-s3-bucket/folder/',",
        "arn:aws:s3:::my-s3-bucket/folder/",
        "arn:aws:s3:::my-s3-bucket/folder/*",
        "https://s3.console.aws.amazon.com/s3/buckets/my-s3-bucket?prefix=folder/&showversions=false",
    ],
)
def test_the_vendors_example_is_understood_in_every_form(text):
    where = parse_location(text)
    assert (where.endpoint, where.bucket, where.prefix, where.region) == (
        GLOBAL,
        "my-s3-bucket",
        "folder/",
        None,
    )


@pytest.mark.parametrize(
    ("text", "endpoint", "bucket", "prefix", "region"),
    [
        ("https://s3.us-west-2.amazonaws.com/bucket/f/", WEST, "bucket", "f/", "us-west-2"),
        ("https://s3-us-west-2.amazonaws.com/bucket/f/", WEST, "bucket", "f/", "us-west-2"),
        ("https://bucket.s3.us-west-2.amazonaws.com/f", WEST, "bucket", "f/", "us-west-2"),
        ("https://bucket.s3-us-west-2.amazonaws.com/f", WEST, "bucket", "f/", "us-west-2"),
        (
            "https://my.dotted.bucket.s3.us-west-2.amazonaws.com/f",
            WEST,
            "my.dotted.bucket",
            "f/",
            "us-west-2",
        ),
        (
            "https://s3.us-west-2.amazonaws.com/my.dotted.bucket/f",
            WEST,
            "my.dotted.bucket",
            "f/",
            "us-west-2",
        ),
        (
            "https://bucket.s3.dualstack.eu-central-1.amazonaws.com/a/b",
            "https://s3.dualstack.eu-central-1.amazonaws.com",
            "bucket",
            "a/b/",
            "eu-central-1",
        ),
        (
            "https://s3-fips.us-gov-west-1.amazonaws.com/bucket/f/",
            "https://s3-fips.us-gov-west-1.amazonaws.com",
            "bucket",
            "f/",
            "us-gov-west-1",
        ),
        (
            "https://bucket.s3.cn-north-1.amazonaws.com.cn/f/",
            "https://s3.cn-north-1.amazonaws.com.cn",
            "bucket",
            "f/",
            "cn-north-1",
        ),
        (
            "https://us-west-2.console.aws.amazon.com/s3/buckets/bucket?region=us-west-2&prefix=a/b%20c/&tab=objects",
            WEST,
            "bucket",
            "a/b c/",
            "us-west-2",
        ),
        ("https://s3.amazonaws.com/bucket/my%20folder/%C3%A9/", GLOBAL, "bucket", "my folder/é/", None),
        ("bucket/my folder/deeper", GLOBAL, "bucket", "my folder/deeper/", None),
        ("https://store.example.com:9000/bucket/f/", "https://store.example.com:9000", "bucket", "f/", None),
        ("http://127.0.0.1:9000/bucket/f", "http://127.0.0.1:9000", "bucket", "f/", None),
        ("https://[2001:db8::1]:9000/bucket/f", "https://[2001:db8::1]:9000", "bucket", "f/", None),
    ],
)
def test_regions_servers_and_folders_are_told_apart(text, endpoint, bucket, prefix, region):
    where = parse_location(text)
    assert (where.endpoint, where.bucket, where.prefix, where.region) == (endpoint, bucket, prefix, region)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \u200b ", "empty"),
        ("hello", "folder after the bucket"),
        ("my bucket/folder/", "bucket's name is not valid"),
        ("https://", "server's name"),
        ("https://s3.amazonaws.com/", "bucket's name is missing"),
        ("https://s3.amazonaws.com/my-s3-bucket/", "folder after the bucket"),
        ("https://s3.amazonaws.com/my-s3-bucket", "folder after the bucket"),
        ("s3://my-s3-bucket", "folder after the bucket"),
        ("ftp://server/my-s3-bucket/folder/", "https:// or s3://"),
        ("localhost:9000/bucket/folder/", "put https://"),
        ("192.168.1.4/bucket/folder/", "put https://"),
        ("https://AKIA:secret@s3.amazonaws.com/bucket/folder/", "keys have their own fields"),
        ("https://s3.amazonaws.com/bucket/folder/?X-Amz-Signature=1", "from ? or # on"),
        ("https://s3.amazonaws.com/bucket/folder/#x", "from ? or # on"),
        ("https://s3.amazonaws.com/bucket/../folder/", "empty part, . or .."),
        ("https://s3.amazonaws.com/bucket/%2e%2e/folder/", "empty part, . or .."),
        ("bucket//folder/", "empty part, . or .."),
        ("https://s3.amazonaws.com/bucket/%FF/", "percent-encoded"),
        ("https://s3.amazonaws.com/bucket/a%00b/", "cannot be seen"),
        ("https://ec2.us-west-2.amazonaws.com/bucket/folder/", "not that of an S3 bucket"),
        ("https://server:99999/bucket/folder/", "port"),
        ("https://[::1/bucket/folder/", "not valid"),
        ("bucket/folder/\nbucket2/folder/", "more than one line"),
        ("bucket/folder/2021-10-09-07-49-13_1_VOICE_x.mp4", "one file"),
        ("arn:aws:iam::1234:user/x", "ARN"),
        ("x" * 10_000, "too long"),
        ("bucket/" + "x" * 1000, "too long"),
        ("bucket/\udcff/", "characters"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_what_to_paste(text, reason):
    with pytest.raises(LocationError, match="my-s3-bucket/folder/") as refused:
        parse_location(text)
    assert reason in str(refused.value)
    assert "secret@" not in str(refused.value)


def test_what_was_understood_is_said_in_words():
    where = parse_location("my-s3-bucket/folder")
    assert where.describe() == "Bucket my-s3-bucket, folder folder/, at s3.amazonaws.com"
    assert where.url() == "https://s3.amazonaws.com/my-s3-bucket/folder/"


@given(
    st.one_of(
        st.text(st.characters(), max_size=80),
        st.builds(
            lambda head, rest: head + rest,
            st.sampled_from(
                [
                    "https://",
                    "s3://",
                    "bucket/",
                    f"{GLOBAL}/bucket/",
                    "https://h/bucket/",
                    "arn:aws:s3:::bucket/",
                ]
            ),
            st.text(st.characters(), max_size=40),
        ),
        st.from_regex(r"(https?|s3)://[a-z0-9.:\[\]@%-]{0,30}(/[a-z0-9.%?#=&+ -]{0,12}){0,4}"),
    )
)
@example("https://s3.s3.amazonaws.com/bucket/%252e%252e/")
@example("bucket/100%/")
@example("bucket/folder\u2028/")
def test_any_text_is_understood_or_refused_and_the_canonical_form_is_stable(text):
    try:
        where = parse_location(text)
    except LocationError:
        return
    assert where.prefix.endswith("/")
    assert len(where.prefix) > 1
    assert parse_location(where.url()) == where
