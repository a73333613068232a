"""What became of a job, in sentences: for those who look at it, not for programs.

A table of jobs may come with somebody else's home, so a result may be anything: what does not read as one of
ours is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.jobs.model import CANCELLED, DONE, FAILED, INTERRUPTED, QUEUED, RUNNING, Job
from app.wording import format_count, format_duration, format_progress

__all__ = ["say_progress", "say_result", "say_state", "say_title"]

_MOST_LINES = 5  # of skipped files and the like; the log has more

_TITLES = {
    "index": "Read documents",
    "sync": "Read what changed",
    "reindex": "Reindex",
    "evaluate": "Evaluate",
    "verify": "Check",
    "tune": "Improve",
    "report": "Report",
}


def say_title(job: Job) -> str:
    """What kind of work it is."""
    return _TITLES.get(job.kind, job.kind.capitalize())


def say_state(job: Job) -> str:
    """One sentence: what it waits for, how far it is, or how it ended."""
    if job.state == QUEUED:
        return "Waits for its turn."
    if job.state == RUNNING:
        if job.cancel_requested:
            return "Ends after its next commit."
        return say_progress(job) or "Has begun."
    if job.state == DONE:
        took = (
            ""
            if job.started is None or job.ended is None
            else f" in {format_duration(job.ended - job.started)}"
        )
        return f"Done{took}."
    kept = " What it stored is kept." if job.done else ""
    if job.state == INTERRUPTED:
        return f"Interrupted: {job.error or 'its process ended'}.{kept} Resume goes on where it was."
    if job.state == CANCELLED:
        return f"Cancelled.{kept}"
    return f"Failed: {job.error or 'its log says why'}" if job.state == FAILED else job.state


def say_progress(job: Job) -> str:
    """How far it is, and how long that takes; empty before anything was counted."""
    return format_progress(job.done, job.total, job.unit, job.rate, job.seconds_left)


def say_result(job: Job) -> list[str]:
    """What it found or made, the most important first; nothing where it has no result."""
    say = _SAY.get(job.kind)
    if job.result is None or say is None:
        return []
    try:
        return say(job.result)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
        return []


def _say_index(result: dict[str, Any]) -> list[str]:
    counts = [(f"{result[name]:,}", name) for name in ("added", "updated", "unchanged") if result[name]]
    said = [f"{', '.join(f'{count} {name}' for count, name in counts) or 'Nothing to read'}."]
    others = {name: result.get(name, 0) for name in ("skipped", "duplicates", "renamed")}
    if any(others.values()):
        said.append(f"{', '.join(f'{count:,} {name}' for name, count in others.items() if count)}.")
    skips = [f"{skip['source']}: {skip['reason']}" for skip in result.get("skips", [])[:_MOST_LINES]]
    unsupported = [
        f"{count:,} × {name or 'no extension'}" for name, count in result["unsupported_files"].items()
    ]
    if unsupported:
        said.append(f"Not of a kind that can be read: {', '.join(unsupported[:_MOST_LINES])}.")
    return said + skips + [str(note) for note in result.get("notes", [])[:_MOST_LINES]]


def _say_reindex(result: dict[str, Any]) -> list[str]:
    serving, live = result["serving"]["id"], result["live"]
    served = "answers now" if serving == live else f"is ready; serving {live} goes on answering"
    return [f"Serving {serving} ({result['serving']['note']}) {served}."]


def _say_evaluate(result: dict[str, Any]) -> list[str]:
    return [
        f"{mode}: "
        + ", ".join(
            f"{name} {value:.3f}" for name, value in report["metrics"].items() if isinstance(value, float)
        )
        for mode, report in result["modes"].items()
    ]


def _say_verify(result: dict[str, Any]) -> list[str]:
    checked = (
        f"{format_count(result['documents'], 'document')} in {format_count(result['chunks'], 'passage')}"
    )
    if result["errors"]:
        damage = [str(error) for error in result["errors"][:_MOST_LINES]]
        return ["The catalog is damaged: restore it from a copy.", *damage]
    if result["repaired"]:
        mended = [str(one) for one in result["repaired"][:_MOST_LINES]]
        return [f"{checked} checked; what was damaged was made anew:", *mended]
    return [f"{checked} checked: everything is as it should be."]


def _say_tune(result: dict[str, Any]) -> list[str]:
    return [str(result["sentence"])]


def _say_report(result: dict[str, Any]) -> list[str]:
    return [
        f"{format_count(result['questions'], 'question')}, {format_count(len(result['systems']), 'system')}"
        " compared: the Evaluate page shows it."
    ]


_SAY: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "index": _say_index,
    "reindex": _say_reindex,
    "evaluate": _say_evaluate,
    "verify": _say_verify,
    "tune": _say_tune,
    "report": _say_report,
}
