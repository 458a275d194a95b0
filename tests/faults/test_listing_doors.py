"""A door that stays shut (no TLS, a certificate of nobody, no such name, a key that was revoked) marks nothing gone."""

import ssl
from datetime import timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone

from recordings.catalog.scan import scan
from recordings.models import Scan
from tests.faults.listing import FILES, nothing_is_gone, settles, tenant_behind, thirty_files
from tests.faults.proxy import Proxy, answer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sea(rclone_s3, monkeypatch):
    return thirty_files(rclone_s3, monkeypatch)


def test_a_revoked_key_stops_the_scan_in_its_middle_and_a_new_one_goes_on(sea, proxy):
    tenant = tenant_behind(proxy, sea)
    settles(tenant)
    proxy.on(
        answer(403, "InvalidAccessKeyId"),
        query="list-type",
        header=f"Authorization: .*{sea.access_key}/",
        skip=2,
    )
    done = scan(tenant=tenant, actor="test")
    tenant.refresh_from_db()
    assert (done.state, tenant.problem_code) == (Scan.State.FAILED, "key_rejected")
    assert nothing_is_gone(FILES)
    sea.stop()
    sea.access_key, sea.secret_key = "NEWKEY", "another-secret-of-no-value"
    sea.start()
    tenant.access_key, tenant.secret_key = sea.access_key, sea.secret_key
    tenant.save()
    settles(tenant)


def test_a_server_that_speaks_no_tls_is_sent_nothing(sea, proxy):
    tenant = tenant_behind(proxy, sea)
    settles(tenant)
    tenant.endpoint = proxy.endpoint.replace("http:", "https:")
    tenant.save()
    done = scan(tenant=tenant, actor="test")
    tenant.refresh_from_db()
    assert (done.state, tenant.problem_code) == (Scan.State.FAILED, "tls_failed")
    assert nothing_is_gone(FILES)


@pytest.fixture(scope="module")
def untrusted(tmp_path_factory):
    """A certificate for the proxy's address that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sea")])
    day = timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(timezone.now() - day)
        .not_valid_after(timezone.now() + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_a_server_whose_certificate_nobody_vouches_for_is_sent_nothing(sea, proxy, untrusted):
    tenant = tenant_behind(proxy, sea)
    settles(tenant)
    with Proxy(sea.endpoint, tls=untrusted) as other:
        tenant.endpoint = other.endpoint
        tenant.save()
        done = scan(tenant=tenant, actor="test")
        tenant.refresh_from_db()
        assert (done.state, tenant.problem_code) == (Scan.State.FAILED, "tls_failed")
        assert nothing_is_gone(FILES) and not other.asked
        tenant.verify_tls = False  # and all else about it is right
        tenant.save()
        settles(tenant)


def test_a_name_that_dns_does_not_know_marks_nothing_gone(sea, proxy):
    tenant = tenant_behind(proxy, sea)
    settles(tenant)
    good, tenant.endpoint = tenant.endpoint, "http://sea.invalid:9000"
    tenant.save()
    done = scan(tenant=tenant, actor="test")
    tenant.refresh_from_db()
    assert (done.state, tenant.problem_code) == (Scan.State.FAILED, "name_unknown")
    assert nothing_is_gone(FILES)
    tenant.endpoint = good
    tenant.save()
    settles(tenant)
