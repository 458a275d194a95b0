"""Answers that the real servers here never give, from a scripted server: what each of them means to us."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from recordings.stores import base
from recordings.stores.listing import EMPTY_ANSWERS, read_answer
from tests.stores.conftest import Answer, s3_error, s3_page


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AccessDenied", 403, base.AccessDenied),
        ("InvalidAccessKeyId", 403, base.KeyRejected),
        ("ExpiredToken", 400, base.KeyRejected),
        ("SignatureDoesNotMatch", 403, base.SignatureRejected),
        ("RequestTimeTooSkewed", 403, base.ClockSkewed),
        ("SlowDown", 503, base.Throttled),
        ("ServiceUnavailable", 503, base.Throttled),
        ("InternalError", 500, base.Throttled),
        ("NoSuchBucket", 404, base.NoSuchBucket),
        ("NoSuchKey", 404, base.NoSuchObject),
        ("PreconditionFailed", 412, base.Changed),
        ("InvalidRange", 416, base.RangeRefused),
        ("PermanentRedirect", 301, base.WrongRegion),
        ("TemporaryRedirect", 307, base.WrongRegion),
        ("SomethingNew", 400, base.StoreError),
    ],
)
def test_every_s3_error_code_has_one_meaning_in_every_method(script, code, status, error):
    script.answer = lambda method, path: s3_error(code, status)
    store = script.store(attempts=1)
    for attempt in (
        lambda: store.read("k"),
        lambda: store.read("tab\tk"),
        lambda: store.read_range("k", start=0, end=1),
    ):
        with pytest.raises(error) as raised:
            attempt()
        assert type(raised.value) is error
        assert raised.value.s3_code == code
    listed = (
        base.AccessDenied if code == "NoSuchKey" else error
    )  # an empty SEA folder may answer so (facts F9)
    with pytest.raises(listed) as raised:
        list(store.list())
    assert type(raised.value) is listed


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, base.AccessDenied),
        (412, base.Changed),
        (503, base.Throttled),
        (301, base.WrongRegion),
        (400, base.StoreError),
    ],
)
def test_a_head_answer_without_a_body_is_named_by_its_status(script, status, error):
    script.answer = lambda method, path: Answer(status)
    with pytest.raises(error):
        script.store(attempts=1).head("k")


def one_folder_only(there):
    """Answer as Amazon's S3 does to a key that may list one folder only: 403 for a HEAD of what is not there."""

    def answer(method, path):
        if method == "HEAD":
            return Answer(403)
        asked = parse_qs(urlsplit(path).query)["prefix"][0]
        return s3_page([key for key in there if key.startswith(asked)][:1])

    return answer


def test_what_a_head_refuses_to_tell_is_asked_of_the_listing_by_its_name(script):
    script.answer = one_folder_only(["folder/here", "folder/missing-and-longer"])
    assert script.store(attempts=1).head("missing") is None
    assert script.store(attempts=1).head("not-at-all") is None
    with pytest.raises(base.AccessDenied):
        script.store(attempts=1).head("here")


@pytest.mark.parametrize(
    "listing",
    [
        s3_error("AccessDenied", 403),
        s3_error("NoSuchKey", 404),
        s3_error("SlowDown", 503),
        s3_page([], truncated="true", token="more"),
        Answer(200, b"<html/>"),
    ],
)
def test_a_listing_that_does_not_say_leaves_a_refused_head_refused(script, listing):
    script.answer = lambda method, path: Answer(403) if method == "HEAD" else listing
    with pytest.raises(base.AccessDenied):
        script.store(attempts=1).head("k")


def test_the_right_region_is_taken_from_the_answer(script):
    for answer in (
        s3_error("PermanentRedirect", 301, headers={"x-amz-bucket-region": "us-west-2"}),
        s3_error("AuthorizationHeaderMalformed", 400, extra="<Region>us-west-2</Region>"),
    ):
        script.answer = lambda method, path, answer=answer: answer
        with pytest.raises(base.WrongRegion, match="us-west-2") as raised:
            list(script.store().list())
        assert raised.value.region == "us-west-2"


def test_what_a_redirect_leads_to_is_never_taken_for_the_file(script):
    elsewhere = Answer(200, b"stolen", {"ETag": ""})
    script.answer = lambda method, path: (
        elsewhere
        if path.startswith("/elsewhere")
        else Answer(307, b"", {"Location": f"{script.endpoint}/elsewhere"})
    )
    store = script.store(attempts=1)
    for attempt in (
        lambda: list(store.list()),
        lambda: store.head("k"),
        lambda: store.read("k"),
        lambda: store.read("tab\tk", if_match="e1"),
        lambda: store.read_range("k", start=0, end=1),
    ):
        with pytest.raises(base.WrongRegion):
            attempt()
    assert not [path for _, path in script.asked if path.startswith("/elsewhere")]
    with pytest.raises(base.StoreError):
        store.read("k", if_match="e1")


def test_throttling_is_tried_again_a_few_times_only(script):
    script.answer = lambda method, path: s3_error("SlowDown", 503)
    with pytest.raises(base.Throttled):
        list(script.store().list())
    assert len(script.asked) == 3
    script.asked.clear()
    script.answer = lambda method, path: (
        s3_error("SlowDown", 503) if len(script.asked) == 1 else s3_page(["folder/a"])
    )
    assert [[one.key for one in page] for page in script.store().list()] == [["a"]]


def test_a_wrong_key_is_not_tried_again(script):
    script.answer = lambda method, path: s3_error("InvalidAccessKeyId", 403)
    with pytest.raises(base.KeyRejected):
        list(script.store().list())
    assert len(script.asked) == 1


def test_nothing_is_asked_above_the_folder(script):
    script.answer = lambda method, path: (
        s3_page(["folder/a"]) if "list-type" in path else Answer(200, b"body")
    )
    store = script.store()
    list(store.list(after="a", until="b"))
    store.folders()
    store.head("a")
    list(store.read("a").chunks())
    for _, path in script.asked:
        parts, query = urlsplit(path), parse_qs(urlsplit(path).query)
        assert parts.path.startswith("/bucket/folder/") or query["prefix"] == ["folder/"]
        assert not {"location", "policy", "acl"} & set(query)


@pytest.mark.parametrize(
    "answer",
    [
        s3_page(["folder/a"], truncated="true"),
        s3_page(["folder/a"], truncated="true", token="always-this"),
        s3_page(["folder/a"], truncated=""),
        s3_page(["elsewhere/a"]),
        s3_page([], extra="<CommonPrefixes><Prefix>elsewhere/</Prefix></CommonPrefixes>"),
        Answer(200, b"<html>Sign in to the network</html>"),
        Answer(200, b"not xml"),
        Answer(200, b""),
        Answer(200, s3_page(["folder/a"]).body.replace(b"<Size>4</Size>", b"")),
        Answer(200, s3_page(["folder/a"]).body.replace(b"2026-11-02", b"yesterday")),
        Answer(200, s3_page(["folder/a", "folder/b"]).body[:-60]),
    ],
    ids=["no token", "token repeats", "says nothing", "key outside", "folder outside", "html", "text", "empty", "no size", "no time", "cut"],
)  # fmt: skip
def test_a_listing_that_cannot_be_proved_complete_raises(script, answer):
    script.answer = lambda method, path: answer
    with pytest.raises(base.ListingBroken):
        for _ in script.store().list():
            assert len(script.asked) < 5


def test_a_listing_body_that_breaks_off_raises(script):
    whole = s3_page(["folder/a"])
    script.answer = lambda method, path: Answer(200, whole.body, whole.headers, cut_at=len(whole.body) - 30)
    with pytest.raises(base.StoreError):
        list(script.store().list())


def _objects(body):
    return read_answer(body, prefix="folder/").page.objects


def test_a_page_is_cut_at_the_borders_in_its_bytes():
    body = s3_page([f"folder/{letter}" for letter in "abcde"]).body
    page = read_answer(body, prefix="folder/").page
    for after, until, left in [
        ("", None, "abcde"),
        ("a", "d", "bcd"),
        ("b", "bb", ""),
        ("e", None, ""),
        ("", "a", "a"),
    ]:
        inside = page.between(after, until)
        assert "".join(one.key for one in inside.objects) == left
        assert inside.count == len(left)
    assert page.between("a", "d").entries == page.between("aa", "dd").entries


def test_a_server_that_promises_more_for_ever_and_lists_nothing_is_not_believed(script):
    script.answer = lambda method, path: s3_page([], truncated="true", token=f"t{len(script.asked)}")
    with pytest.raises(base.ListingBroken, match="lists nothing"):
        list(script.store().list())
    assert len(script.asked) == EMPTY_ANSWERS


def test_a_few_empty_answers_on_the_way_are_no_failure(script):
    few = EMPTY_ANSWERS - 1
    script.answer = lambda method, path: (
        s3_page(["folder/a"])
        if len(script.asked) > few
        else s3_page([], truncated="true", token=f"t{len(script.asked)}")
    )
    assert [one.key for page in script.store().list() for one in page] == ["a"]


def test_pages_that_do_not_go_on_after_each_other_are_not_believed(script):
    """Each is in order, and each has a token of its own: a server that goes round would be listed for ever."""
    script.answer = lambda method, path: s3_page(
        ["folder/a", "folder/b"], truncated="true", token=f"t{len(script.asked)}"
    )
    for span in ({}, {"after": "m"}):
        script.asked.clear()
        with pytest.raises(base.ListingBroken, match="out of order"):
            list(script.store().list(**span))
        assert len(script.asked) == 2


@pytest.mark.parametrize(("after", "until"), [("", "m"), ("b", None)])
def test_a_page_out_of_order_is_refused_where_a_cut_would_hide_it(script, after, until):
    script.answer = lambda method, path: s3_page([f"folder/{key}" for key in "azcyx"])
    with pytest.raises(base.ListingBroken, match="out of order"):
        list(script.store().list(after=after, until=until))


def test_one_key_too_many_is_cut_off_unread():
    page = read_answer(s3_page(["folder/a", "folder/b", "folder/c"]).body, prefix="folder/").page
    inside = page.between("", "b")
    assert inside.count == 2 and inside.last == "b" and "rows" not in vars(page) | vars(inside)


def test_a_size_below_nothing_is_not_believed():
    odd = s3_page(["folder/a"]).body.replace(b"<Size>4", b"<Size>-1")
    with pytest.raises(base.ListingBroken):
        _objects(odd)


@pytest.mark.parametrize("written", [b"W/&quot;e1&quot;", b'W/"e1"', b'"e1"', b"e1"])
def test_a_weak_etag_is_the_same_in_listing_and_head(script, written):
    body = s3_page(["folder/a"]).body.replace(b"&quot;e1&quot;", written)
    assert [one.etag for one in _objects(body)] == ["e1"]
    script.answer = lambda method, path: Answer(200, b"body", {"ETag": 'W/"e1"'})
    assert script.store().head("a").etag == "e1"
    with script.store().read("tab\ta", if_match="e1") as stream:
        assert b"".join(stream.chunks()) == b"body"


def test_whoever_keeps_a_pace_hears_of_throttling_at_once(script):
    script.answer = lambda method, path: s3_error("SlowDown", 503)
    with pytest.raises(base.Throttled):
        next(script.store().pages(paced=True))
    assert len(script.asked) == 1


def test_a_page_that_miscounts_its_keys_is_not_believed(script):
    script.answer = lambda method, path: s3_page(["folder/a", "folder/b"], extra="<KeyCount>3</KeyCount>")
    with pytest.raises(base.ListingBroken, match="3 keys and has 2"):
        list(script.store().list())


def test_both_ways_to_read_a_page_agree():
    plain = s3_page(["folder/a", "folder/b.mp4", "folder/"]).body
    for fast, slow in (
        (plain, plain.replace(b"<Size>", b"<!-- slow --><Size>")),
        (plain, plain.replace(b"<Contents><Key>folder/a</Key>", b"<Contents><Size>4</Size><Key>folder/a</Key>", 1)
                     .replace(b"</ETag><Size>4</Size>", b"</ETag>", 1)),
    ):  # fmt: skip
        assert _objects(fast) == _objects(slow)
    assert _objects(plain) == [
        base.ListedObject(key, 4, "e1", datetime(2026, 11, 2, 3, 4, 5, tzinfo=UTC)) for key in ("a", "b.mp4")
    ]
    odd = s3_page(["folder/a&amp;b&#x27;"]).body
    assert _objects(odd)[0].key == "a&b'"
    encoded = s3_page(
        ["folder/a%2Bb+c%25", "folder/%F0%9F%98%80"], extra="<EncodingType>url</EncodingType>"
    ).body
    assert [one.key for one in _objects(encoded)] == ["a+b c%", "😀"]


@pytest.mark.parametrize("key", ["k", "tab\tk"], ids=["fast", "wire"])
def test_a_body_that_breaks_off_is_never_taken_for_the_file(script, key):
    script.answer = lambda method, path: Answer(200, b"0123456789" * 100_000, cut_at=600_000)
    with pytest.raises(base.StoreError) as raised:
        list(script.store(attempts=1).read(key, if_match="e1").chunks())
    assert raised.value.code in ("short_read", "unreachable", "changed", "range_refused")


def test_a_server_that_ignores_ranges_is_refused_unless_it_gives_what_was_asked(script):
    script.answer = lambda method, path: Answer(200, b"0123456789")
    with pytest.raises(base.RangeRefused):
        script.store().read_range("k", start=2, end=5)
    assert b"".join(script.store().read_range("k", start=0, end=9).chunks()) == b"0123456789"
    script.answer = lambda method, path: Answer(206, b"0123", {"Content-Range": "bytes 0-3/10"})
    with pytest.raises(base.RangeRefused):
        script.store().read_range("k", start=2, end=5)


def test_the_secret_is_in_no_repr_and_no_error(script):
    script.answer = lambda method, path: s3_error("AccessDenied", 403)
    store = script.store(secret_key="T0PSECRET")
    with pytest.raises(base.AccessDenied) as raised:
        list(store.list())
    assert "T0PSECRET" not in f"{store!r} {store.access!r} {store.wire!r} {raised.value!r}"


def test_amazons_global_address_is_made_regional(script):
    make = script.store
    assert (
        make(endpoint="https://s3.amazonaws.com", region="us-west-2").access.endpoint
        == "https://s3.us-west-2.amazonaws.com"
    )
    assert make(endpoint="https://s3.amazonaws.com").access.endpoint == "https://s3.amazonaws.com"
    assert (
        make(endpoint="https://minio.example", region="eu-west-1").access.endpoint == "https://minio.example"
    )
