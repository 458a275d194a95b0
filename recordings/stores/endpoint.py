"""Decide which servers may be called: an address typed by a person must not reach into the inside of the network."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from recordings.stores.base import EndpointRefused, NameUnknown

_NAT64 = ip_network("64:ff9b::/96")

# Addresses at which clouds hand out machine credentials and that do not count as link-local.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))


def check_endpoint(endpoint: str, *, allow_private: bool) -> None:
    """Refuse a server that a tenant or archive may not use. Raises EndpointRefused or NameUnknown.

    Usually: https:// and public addresses only. With allow_private (the server inside the house, a test): http:// and
    private addresses too, but never link-local and metadata ones. Every address of the name is judged. A name that later
    changes its address is not caught here; the network's own rules must hold for that.
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host:
        raise EndpointRefused("an address begins with https://")
    if parts.scheme == "http" and not allow_private:
        raise EndpointRefused("http:// would send recordings unencrypted: use https://")
    for address in _addresses(host, parts.port or (443 if parts.scheme == "https" else 80)):
        if is_forbidden(address):
            raise EndpointRefused(f"{host} is a link-local or metadata address")
        if not allow_private and not address.is_global:
            raise EndpointRefused(f"{host} is an address inside a private network")


def is_forbidden(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether no store may ever be at this address."""
    return address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA


def _addresses(host: str, port: int) -> list[IPv4Address | IPv6Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NameUnknown(host) from error
    addresses = [ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    return [_inner(one) for one in addresses]


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 form wraps: a wrapped private address is still private."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(address.packed[-4:])
        return address.ipv4_mapped or address.sixtofour or address
    return address
