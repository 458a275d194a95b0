"""Which servers may be called."""

import pytest

from recordings.stores.base import EndpointRefused, NameUnknown
from recordings.stores.endpoint import check_endpoint


@pytest.mark.parametrize("endpoint", ["https://8.8.8.8", "https://8.8.8.8:9000", "https://[2606:4700::1111]"])
def test_public_addresses_over_https_are_allowed(endpoint):
    check_endpoint(endpoint, allow_private=False)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[::1]", "[fc00::1]", "[::ffff:10.0.0.1]",
     "[64:ff9b::a00:1]", "[2002:a00:1::]", "2130706433", "0x7f.1"],
)  # fmt: skip
def test_private_addresses_need_an_administrators_word(host):
    with pytest.raises((EndpointRefused, NameUnknown)):
        check_endpoint(f"https://{host}", allow_private=False)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000", "https://localhost", "http://192.168.1.1"])
def test_private_addresses_and_http_are_allowed_on_that_word(endpoint):
    check_endpoint(endpoint, allow_private=True)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "0.0.0.0",
        "100.100.100.200",
    ],
)
@pytest.mark.parametrize("allow_private", [True, False])
def test_link_local_and_metadata_addresses_are_never_allowed(host, allow_private):
    with pytest.raises(EndpointRefused):
        check_endpoint(f"https://{host}", allow_private=allow_private)


@pytest.mark.parametrize("endpoint", ["http://8.8.8.8", "ftp://8.8.8.8", "https://", "8.8.8.8", ""])
def test_other_schemes_are_refused(endpoint):
    with pytest.raises(EndpointRefused):
        check_endpoint(endpoint, allow_private=False)


def test_a_name_without_an_address_is_told_as_such():
    with pytest.raises(NameUnknown, match="nowhere.invalid"):
        check_endpoint("https://nowhere.invalid", allow_private=False)
