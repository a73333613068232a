"""What an agent may do at most."""

from __future__ import annotations

__all__ = ["READS", "WRITES"]

READS = frozenset({"search"})
WRITES = frozenset({"search", "judge", "write"})
"""Where a server was told that agents may change something."""
