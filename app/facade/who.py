"""Who asks: for the history of a collection, and for jobs."""

from __future__ import annotations

import getpass

__all__ = ["login_name"]


def login_name() -> str:
    """The name this process's user logged in with; empty where there is none, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
