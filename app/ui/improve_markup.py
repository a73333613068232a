"""What the page of improving shows beside widgets, as HTML. Every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.facade.improvement import Person
from app.feedback.judged import HELDOUT, OUT, SIDES, TRAIN, JudgedSet
from app.feedback.judged.queue import ToJudge
from app.feedback.status import FeedbackStatus
from app.ui.gate_markup import BADGES
from app.ui.outside import as_html, isolate
from app.wording import format_count
from indexing.serving.history import Serving

__all__ = [
    "all_judged",
    "disagreement",
    "figures",
    "heading",
    "history",
    "nothing_said",
    "pair",
    "people",
    "section",
]

_VERBS = {"create": "made", "promote": "promoted", "rollback": "rolled back to", "trial": "put on trial"}


def heading(title: str, remark: str) -> str:
    return f'<h1 class="st-h1">{as_html(title)}</h1><p class="st-lead">{as_html(remark)}</p>'


def section(title: str, remark: str = "") -> str:
    small = f'<p class="st-lead">{as_html(remark)}</p>' if remark else ""
    return f'<h2 class="st-h2">{as_html(title)}</h2>{small}'


def figures(pairs: Sequence[tuple[str, str]]) -> str:
    """Large numbers, each with what it counts."""
    body = "".join(f"<div><b>{as_html(value)}</b><span>{as_html(what)}</span></div>" for value, what in pairs)
    return f'<div class="st-numbers">{body}</div>'


def nothing_said() -> str:
    return (
        '<section class="st-note"><h2>Nobody has judged an answer yet</h2>'
        "<p>Ask a question on the Search page and press a thumb, <b>This is the one</b> or"
        " <b>None of these</b> under the answers. Ten judged questions are a"
        " beginning; from fifty on an improvement can be proved.</p>"
        "<p>There are judgments in files already?</p>"
        "<pre>stlib feedback import NAME FOLDER --split train</pre></section>"
    )


def people(persons: Sequence[Person], most: int = 12) -> str:
    """Who judged how much, as chips."""
    chips = "".join(
        f'<span class="st-chip"><span class="st-field">{isolate(_person(one.name))}</span>'
        f"{one.words:,}</span>"
        for one in persons[:most]
    )
    rest = len(persons) - most
    more = f'<span class="st-chip">and {format_count(rest, "other")}</span>' if rest > 0 else ""
    return f'<div class="st-chips">{chips}{more}</div>'


def _person(name: str) -> str:
    return {"": "nameless visitors", "import": "from files"}.get(name, name)


def pair(pair: ToJudge, title: str, text: str, left: int, most: int = 4_000) -> str:
    """A question and a document to judge."""
    rest = f'<p class="st-rest">… and {len(text) - most:,} more characters</p>' if len(text) > most else ""
    reasons = as_html(" ".join(pair.reasons))
    return (
        f'<div class="st-pair-head"><span class="st-field">{format_count(left, "answer")} to judge · '
        f'{reasons}</span><p dir="auto"><b>{as_html(pair.text)}</b></p></div>'
        f'<div class="st-title"><span dir="auto">{as_html(title or pair.document)}</span></div>'
        f'<div class="st-text" dir="auto" tabindex="0">{as_html(text[:most], prose=True)}</div>{rest}'
    )


def all_judged(some: bool) -> str:
    done = "You have judged all there was to judge. Thank you." if some else "Nothing waits to be judged."
    return (
        f'<p class="st-lead" role="status">{done} What is asked and clicked from now on, and answers that'
        " could turn a verdict, are listed here.</p>"
    )


def history(servings: Sequence[Serving]) -> str:
    """Every serving, the newest first: what it is, what the gate said, and when it answered."""
    return f'<div class="st-history" role="list">{"".join(_serving(one) for one in reversed(servings))}</div>'


def _serving(serving: Serving) -> str:
    marks = '<span class="st-badge st-good">answers now</span>' if serving.live else ""
    marks += '<span class="st-badge st-open">on trial</span>' if serving.trial else ""
    if serving.gate is not None:
        name, tone = BADGES.get(str(serving.gate.get("verdict")), ("Not tested", "open"))
        marks += f'<span class="st-badge st-{tone}">gate: {name.lower()}</span>'
    events = "".join(
        f"<li>{_VERBS.get(event.kind, event.kind)} {_when(event.at)}"
        f"{f' by {isolate(event.who)}' if event.who else ''}"
        f"{f', against the gate: {isolate(event.override)}' if event.override else ''}</li>"
        for event in serving.promotions
    )
    return (
        f'<div role="listitem"><span class="st-rank">{serving.id}</span><div><span dir="auto">'
        f"{as_html(serving.note)}</span> {marks}<ul>{events}</ul></div></div>"
    )


def _when(at: str) -> str:
    """The time in the catalog is in UTC; a person reads the one of this machine."""
    try:
        return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return as_html(at)


def disagreement(judged: JudgedSet, status: FeedbackStatus, most: int = 8) -> str:
    """Questions on which people do not agree, and what else a reader of the figures should know."""
    torn = [one for one in judged.questions if one.conflicts]
    rows = "".join(
        f"<li><span dir='auto'>{as_html(one.text)}</span>: "
        f"{', '.join(isolate(document) for document in sorted(one.conflicts)[:3])}</li>"
        for one in torn[:most]
    )
    sides = {name: sum(one.side == name and one.answered for one in judged.questions) for name in SIDES}
    clicks = "count as judgments" if judged.clicks_used else "are too few to count; they fill the list below"
    lines = [
        f"{sides[TRAIN]} of the questions are learned from, {sides[HELDOUT]} are kept for the proof"
        + (
            f", {sides[OUT]} serve neither because they are like one of the other side."
            if sides[OUT]
            else "."
        ),
        f"Kept: {status.impressions:,} × searched, {status.events:,} × opened; what was opened {clicks}.",
        *judged.notes,
    ]
    told = f"<p>People disagree on:</p><ul>{rows}</ul>" if rows else "<p>Nobody disagrees with anybody.</p>"
    return f'{told}<ul class="st-fine">{"".join(f"<li>{as_html(line)}</li>" for line in lines)}</ul>'
