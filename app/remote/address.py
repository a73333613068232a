"""The address of a service, as a person types it."""

from __future__ import annotations

from urllib.parse import urlsplit

from app.settings import is_loopback
from indexing.errors import BadInput

__all__ = ["check_address", "is_near", "is_open"]


def check_address(given: str) -> str:
    """The address without a slash at its end.

    Raises:
        BadInput: it is none.
    """
    text = given.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        sound = sound and not (parts.query or parts.fragment or "@" in parts.netloc)
    except ValueError:
        sound = False
    if not sound or not (text.isascii() and text.isprintable()) or " " in text:
        raise BadInput(
            "the address of a service is one like http://127.0.0.1:8800, without a name or a key in it: a key"
            " has its own place (STLIB_SERVER_KEY, or STLIB_SERVER_KEY_FILE)"
        )
    return text


def is_near(address: str) -> bool:
    """Whether it is one of this machine."""
    return is_loopback(urlsplit(address).hostname or "")


def is_open(address: str) -> bool:
    """Whether keys travel to it so that others on the way can read them."""
    return urlsplit(address).scheme == "http" and not is_near(address)
