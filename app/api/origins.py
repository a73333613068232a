"""By which names the service may be called, and from which pages.

A page of a stranger can have its own name lead to 127.0.0.1 and then ask whatever listens there, as its
browser takes both for one site. What it cannot do is to send another name in `Host` than its own.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

__all__ = ["Origins"]

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Origins:
    """
    `local`: whether only this machine can reach the service. Elsewhere it may be called by any address, as an
    address leads to no other machine than its own; by a name only if that is this machine's or listed.
    """

    def __init__(self, local: bool, hosts: Iterable[str], origins: Iterable[str]) -> None:
        listed = frozenset(map(str.lower, hosts))
        own = frozenset() if local else frozenset({socket.gethostname().lower()})
        self._any = "*" in listed
        self._names = _LOCAL_NAMES | own | listed
        self._addresses = not local
        self._origins = frozenset(one.rstrip("/").lower() for one in origins)

    def allows_host(self, host: str | None) -> bool:
        """`host` as the header has it, with or without a port."""
        name = None if host is None else host_name(host)
        if name is None:
            return False
        return self._any or name in self._names or (self._addresses and _is_address(name))

    def lists(self, origin: str | None) -> bool:
        """Whether pages of this origin, which are none of the service's own, may read its answers."""
        return origin is not None and origin.lower() in self._origins

    def allows_origin(self, origin: str | None, host: str | None, site: str | None, mode: str | None) -> bool:
        """Whether a browser may send this: `origin`, `site` and `mode` are the headers Origin, Sec-Fetch-Site
        and Sec-Fetch-Mode, which programs do not send.
        """
        if origin is not None:
            return self.lists(origin) or _is_of(origin, host)
        return site != "cross-site" or mode == "navigate"


def host_name(host: str) -> str | None:
    """The name or address in a Host header, in small letters; None where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        sound = not (parts.path or parts.query or parts.fragment or "@" in host) and host.isascii()
        _ = parts.port  # raises for what is no number of a port
        return parts.hostname if sound else None
    except ValueError:
        return None


def _is_of(origin: str, host: str | None) -> bool:
    """Whether a page of `origin` was itself served by `host`."""
    scheme, separator, rest = origin.partition("://")
    return (
        bool(separator) and scheme in ("http", "https") and host is not None and rest.lower() == host.lower()
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
