"""Named places at which a test kills the process, to see that nothing acknowledged is lost.

    STLIB_FAULT=job.token     the process ends itself with SIGKILL when it comes to `point("job.token")`
    STLIB_FAULT=job.token@3   ... for the third time

Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal

__all__ = ["point"]

_NAME, _, _PASS = os.environ.get("STLIB_FAULT", "").partition("@")
_passes = 0


def point(name: str) -> None:
    """End this process here, as a power failure would, if STLIB_FAULT names this place."""
    global _passes
    if name != _NAME:
        return
    _passes += 1
    if _passes == int(_PASS or 1):
        # Windows has no SIGKILL, and ends the process at once on any signal.
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
