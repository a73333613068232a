"""What page and service say to each other beside the body."""

from __future__ import annotations

__all__ = ["SESSION_HEADER"]

SESSION_HEADER = "X-Stlib-Session"
"""The visit of a person within what is asked with one key: clicks are counted by it."""
