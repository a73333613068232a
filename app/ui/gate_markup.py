"""The gate's report as HTML, in words and in numbers. Every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from app.tuning.gate.model import FAILED, PASSED, UNDECIDED, GateReport, MetricChange, QuestionChange
from app.tuning.runs import Run
from app.tuning.trial.report import TrialReport
from app.ui.outside import as_html, isolate
from app.wording import format_count

__all__ = ["BADGES", "curves", "metrics", "nothing_learned", "trial", "verdict", "wins_and_losses"]

BADGES = {PASSED: ("Passed", "good"), FAILED: ("Not better", "bad"), UNDECIDED: ("Undecided", "open")}
"""Verdict → its name, and the tone it is shown in."""

_WIDTH, _HEIGHT = 640, 150
_LINES = ("#0f8a7e", "#c9781d", "#5c6ac4", "#b8408a", "#6a7f2e")


def verdict(report: GateReport) -> str:
    """The verdict in words: what a person reads who decides."""
    name, tone = BADGES[report.verdict]
    first, *others = report.sentences or (name,)
    lines = "".join(f"<li>{as_html(sentence)}</li>" for sentence in others)
    return (
        f'<section class="st-verdict st-{tone}" aria-label="Verdict"><span class="st-badge">{name}</span>'
        f"<p><b>{as_html(first)}</b></p><ul>{lines}</ul></section>"
    )


def nothing_learned(run: Run) -> str:
    """A run that made no candidate."""
    return (
        '<section class="st-verdict st-open" aria-label="Verdict">'
        '<span class="st-badge">Nothing found</span>'
        "<p><b>Nothing that was tried answers better than what answers now, so there is no candidate.</b></p>"
        f"<ul><li>Tried: {as_html(run.lever)}. More judged questions give it more to learn from: the list"
        " below says which teach most.</li></ul></section>"
    )


def trial(report: TrialReport) -> str:
    """What a trial says so far."""
    first, *others = report.sentences
    lines = "".join(f"<li>{as_html(sentence)}</li>" for sentence in others)
    return (
        '<section class="st-verdict st-open" aria-label="Trial"><span class="st-badge">Trial of serving'
        f" {report.candidate}</span><p><b>{as_html(first)}</b></p><ul>{lines}</ul></section>"
    )


def metrics(report: GateReport) -> str:
    """The numbers: before, after, the change and where the true one lies with 95 %."""
    rows = dict(report.metrics)
    if report.returning is not None:
        rows["NDCG@10, returning questions"] = report.returning
    if report.new is not None:
        rows["NDCG@10, new questions"] = report.new
    if report.guard is not None:
        guard = report.guard
        name = f"NDCG@10, guard set {guard.name}"
        rows[name] = MetricChange(
            guard.questions, guard.before, guard.after, guard.difference, guard.low, None
        )
    scale = max(
        [
            0.01,
            *(abs(x) for row in rows.values() for x in (row.low, row.high, row.difference) if x is not None),
        ]
    )
    body = "".join(_metric(name, row, scale) for name, row in rows.items())
    return (
        '<div class="st-table" tabindex="0"><table><thead><tr><th>Measure</th><th>Questions</th>'
        "<th>Before</th><th>After</th><th>Change</th><th>95 % interval</th></tr></thead>"
        f"<tbody>{body}</tbody></table></div>{_fine_print(report)}"
    )


def _metric(name: str, row: MetricChange, scale: float) -> str:
    return (
        f"<tr><th>{as_html(name)}</th><td>{row.questions:,}</td><td>{row.before:.3f}</td><td>{row.after:.3f}</td>"
        f"<td><b>{row.difference:+.3f}</b></td><td>{_interval(row, scale)}</td></tr>"
    )


def _interval(row: MetricChange, scale: float) -> str:
    """A bar from the lower to the upper bound, with zero in the middle; in words for those who listen."""
    low, high = row.low, row.high
    if low is None and high is None:
        return "too few questions"
    words = f"{low:+.3f} to {high:+.3f}" if low is not None and high is not None else f"at least {low:+.3f}"
    left = 50 + 50 * (low if low is not None else row.difference) / scale
    right = 50 + 50 * (high if high is not None else scale) / scale
    middle = 50 + 50 * row.difference / scale
    return (
        '<span class="st-interval" aria-hidden="true">'
        f'<i style="left:{left:.1f}%;width:{max(1, right - left):.1f}%"></i>'
        f'<b style="left:{middle:.1f}%"></b></span><span class="st-range">{words}</span>'
    )


def _fine_print(report: GateReport) -> str:
    least = (
        f"So many questions would have shown a change of {report.smallest_detectable:.3f} and more."
        if report.smallest_detectable is not None
        else "There are too few questions to say how small a change they could have shown."
    )
    how = (
        f"Each question was answered by what was learned without it, in {report.folds} parts."
        if report.cross_fitted
        else "The questions were held out: nothing was learned from them."
    )
    judged = report.judged_at_10
    lines = [
        f"One-sided paired randomisation test on NDCG@10: p = {report.p:.4f}, look {report.look} may spend"
        f" {report.alpha:.4f}.",
        least,
        how,
        f"Of the ten best answers {100 * judged.get('before', 0):.0f} % were judged before and"
        f" {100 * judged.get('after', 0):.0f} % after.",
        f"{format_count(report.wins, 'question')} better, {report.losses} worse, {report.ties} as before.",
    ]
    if report.replay is not None:
        lines.append(
            f"Of {format_count(report.replay.questions, 'past question')}"
            f" {100 * report.replay.changed_first:.0f} % get another first answer;"
            f" {100 * report.replay.changed_ten:.0f} % of the best ten are others."
        )
    lines += list(report.notes)
    body = "".join(f"<li>{as_html(line)}</li>" for line in lines)
    return (
        '<details class="st-summary"><summary>How this was measured</summary>'
        f'<ul class="st-fine">{body}</ul></details>'
    )


def wins_and_losses(changes: Sequence[QuestionChange], titles: Mapping[str, str], most: int = 12) -> str:
    """Questions that changed most, both answers side by side; losses first, as they decide."""
    changed = [one for one in changes if one.after != one.before]
    losses = sorted(
        (one for one in changed if one.after < one.before), key=lambda one: one.after - one.before
    )
    wins = sorted((one for one in changed if one.after > one.before), key=lambda one: one.before - one.after)
    if not changed:
        return '<p class="st-lead">No question is answered better or worse.</p>'
    return "".join(
        f'<h3 class="st-h3">{title}</h3>' + "".join(_question(one, titles) for one in some[:most])
        for title, some in (("Worse", losses), ("Better", wins))
        if some
    )


def _question(change: QuestionChange, titles: Mapping[str, str]) -> str:
    def column(title: str, ids: Sequence[str], others: Sequence[str]) -> str:
        rows = "".join(
            f"<li{'' if one in others else ' class=st-fresh'}>{isolate(titles.get(one, one))}</li>"
            for one in ids[:5]
        )
        return f"<div><h4>{title}</h4><ol>{rows}</ol></div>"

    tone = "good" if change.after > change.before else "bad"
    return (
        f'<details class="st-pair"><summary><span dir="auto">{as_html(change.text)}</span>'
        f'<b class="st-{tone}-text">{change.after - change.before:+.2f}</b></summary><div class="st-sides">'
        f"{column(f'Before: {change.before:.2f}', change.answers_before, change.answers_after)}"
        f"{column(f'After: {change.after:.2f}', change.answers_after, change.answers_before)}</div></details>"
    )


def curves(lines: Mapping[str, Sequence[float]]) -> str:
    """Gains in cross-validation as they are found, the best so far of each lever: an inline drawing."""
    best = {name: _best_so_far(gains) for name, gains in lines.items() if gains}
    if not best:
        return '<p class="st-lead" role="status">It has begun. The first gains appear here.</p>'
    top = max(0.01, *(max(values) for values in best.values()))
    bottom = min(0.0, *(min(values) for values in best.values()))
    longest = max(2, *(len(values) for values in best.values()))

    def point(index: int, value: float) -> str:
        x = 8 + (_WIDTH - 16) * index / (longest - 1)
        return f"{x:.1f},{8 + (_HEIGHT - 16) * (top - value) / (top - bottom):.1f}"

    zero = point(0, 0.0).partition(",")[2]
    drawn = "".join(
        f'<polyline fill="none" stroke="{color}" stroke-width="2.5" points="'
        f'{" ".join(point(i, value) for i, value in enumerate([*values, values[-1]]))}"/>'
        for color, values in zip(_LINES * 3, best.values(), strict=False)
    )
    names = "".join(
        f'<span><i style="background:{color}"></i>{as_html(name)} {values[-1]:+.3f}</span>'
        for color, (name, values) in zip(_LINES * 3, best.items(), strict=False)
    )
    told = ", ".join(f"{name} {values[-1]:+.3f}" for name, values in best.items())
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        f' preserveAspectRatio="none"><line x1="8" x2="{_WIDTH - 8}" y1="{zero}" y2="{zero}" stroke="#888"/>'
        f"{drawn}</svg>"
    )
    # As a picture: Streamlit leaves no drawing in the HTML that it is given.
    return (
        f'<figure class="st-curves"><img src="data:image/svg+xml,{quote(drawing)}"'
        f' alt="Best gains so far: {as_html(told)}"><figcaption>{names}</figcaption></figure>'
    )


def _best_so_far(gains: Sequence[float]) -> list[float]:
    best, values = float("-inf"), []
    for gain in gains:
        best = max(best, gain)
        values.append(best)
    return values
