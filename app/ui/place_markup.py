"""What the pages of collections and jobs show beside widgets, as HTML. Every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.facade.jobs import Job
from app.jobs.words import say_result, say_state
from app.ui.outside import as_html, isolate
from app.wording import format_count, format_model
from indexing.serving.history import Serving
from indexing.sources.report import Source

__all__ = ["facts", "heading", "last_check", "refusals", "section", "servings", "sources"]

_VERBS = {"create": "made", "promote": "promoted", "rollback": "went back to", "trial": "tried"}


def heading(title: str, remark: str = "") -> str:
    small = f'<span class="st-remark">{as_html(remark)}</span>' if remark else ""
    return f'<h1 class="st-heading">{isolate(title)}{small}</h1>'


def section(title: str, remark: str = "") -> str:
    small = f'<p class="st-remark">{as_html(remark)}</p>' if remark else ""
    return f'<div class="st-section"><h2>{as_html(title)}</h2>{small}</div>'


def facts(figures: Sequence[tuple[str, str]], rows: Sequence[tuple[str, str]]) -> str:
    """Large figures with what they count, and beneath them whatever else there is to know, folded."""
    large = "".join(
        f"<div><b>{as_html(value)}</b><span>{as_html(what)}</span></div>" for value, what in figures
    )
    body = "".join(f"<tr><th>{as_html(name)}</th><td>{isolate(value)}</td></tr>" for name, value in rows)
    return (
        f'<div class="st-figures">{large}</div>'
        f'<details class="st-summary"><summary>Settings</summary><table>{body}</table></details>'
    )


def servings(servings: Sequence[Serving]) -> str:
    """One line each, the live one marked."""
    return f'<div class="st-servings" role="list">{"".join(_serving(one) for one in servings)}</div>'


def sources(found: Sequence[Source]) -> str:
    """A folder a line: its path, what it has, when it was read."""
    return f'<div class="st-servings">{"".join(map(_source, found))}</div>'


def _source(source: Source) -> str:
    what = f"{format_count(source.documents, 'document')} of {format_count(source.files, 'file')}"
    read = f"read {_moment(source.synced_at)}" if source.synced_at else "not read to its end yet"
    remark = f"{what}, {read}" + ("" if source.confirmed else ", not confirmed on this machine")
    kind = " (single files)" if source.kind == "files" else ""
    return f'<div><b>{as_html(source.root + kind)}</b><p class="st-remark">{as_html(remark)}</p></div>'


def _moment(at: str) -> str:
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:  # of a catalog that was altered
        return at


def refusals(refused: Sequence[tuple[str, str]]) -> str:
    """Files that were not taken, with the reasons."""
    lines = "".join(f"<div>{isolate(name)}: {as_html(reason)}</div>" for name, reason in refused)
    title = f"{format_count(len(refused), 'file')} not taken"
    body = f'<h2>{title}</h2><div class="st-said">{lines}</div>'
    return f'<section class="st-note st-bad" role="alert">{body}</section>'


def last_check(job: Job) -> str:
    """How the last check of a collection ended."""
    lines = say_result(job) or [say_state(job)]
    when = "" if job.ended is None else f"{datetime.fromtimestamp(job.ended):%Y-%m-%d %H:%M}: "
    wrong = not job.result or bool(job.result.get("errors"))
    said = "".join(f"<div dir='auto'>{as_html(line)}</div>" for line in [f"{when}{lines[0]}", *lines[1:]])
    return f'<div class="st-said{" st-bad-list" if wrong else ""}">{said}</div>'


def _serving(serving: Serving) -> str:
    mark = '<span class="st-state st-good">live</span>' if serving.live else ""
    if serving.trial:
        mark = '<span class="st-state st-run">on trial</span>'
    if serving.gate is not None:
        mark += f'<span class="st-state st-still">gate: {as_html(str(serving.gate.get("verdict")))}</span>'
    rows = [
        f"{format_model(serving.model)}, {serving.precision}, {serving.engine}",
        f"reranker {serving.reranker}" if serving.reranker else "",
        f"{format_count(serving.behind, 'change')} behind" if serving.behind else "",
        *(_event(event.kind, event.at, event.who, event.override) for event in serving.promotions[-1:]),
    ]
    about = " · ".join(isolate(row) for row in rows if row)
    title = f'<span class="st-rank">{serving.id}</span><span dir="auto">{as_html(serving.note)}</span>{mark}'
    return (
        f'<div role="listitem"><div class="st-job-title">{title}</div>'
        f'<p class="st-job-given">{about}</p></div>'
    )


def _event(kind: str, at: str, who: str, override: str | None) -> str:
    by = f" by {who}" if who else ""
    why = f", overriding: {override}" if override else ""
    return f"{_VERBS.get(kind, kind)} {at[:16].replace('T', ' ')}{by}{why}"
