"""A report as one page of HTML: no script, nothing loaded from anywhere, everything from outside escaped."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from app.report.markup import as_html, isolate
from app.report.model import TESTED, Measured, Report
from app.report.plots import (
    difference_bars,
    intervals_plot,
    quality_against_latency,
    quality_against_memory,
)
from app.report.side_by_side import Apart, Shown, most_apart
from app.report.words import (
    coverage_sentences,
    facts,
    format_figure,
    format_interval,
    format_p,
    format_signed,
    judged_sentence,
    reproduction,
    summary,
)
from app.wording import format_bytes, format_milliseconds

__all__ = ["answers_html", "render_html"]

_MAIN = TESTED[0]
_MOST_OPENED = 8  # systems whose questions are listed: the best of those that are compared


def render_html(report: Report) -> str:
    """The whole page."""
    title = f"How well {report.collection} answers"
    parts = [
        f"<h1>How well {isolate(report.collection)} answers</h1>",
        f'<p class="facts">{as_html(facts(report))}</p>',
        f'<section class="summary" aria-label="Summary">{_paragraphs(summary(report))}</section>',
        _section("Quality", _quality(report)),
        _section("What it costs", _costs(report)),
        _section("Question by question", _questions(report)),
        _section("What the figures rest on", _rests_on(report)),
        _section("Making it again", _again(report)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy"'
        " content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{as_html(title)}</title>\n<style>{_sheet()}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


@cache
def _sheet() -> str:
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _paragraphs(sentences: Iterable[str]) -> str:
    return "".join(f"<p>{as_html(one)}</p>" for one in sentences)


def _quality(report: Report) -> str:
    caption = (
        f"{_MAIN} of each system, with the interval that holds it with 95 % (bootstrap over questions). The"
        f" dashed line is {report.baseline.letter}, what is live."
    )
    names = list(report.baseline.metrics)
    head = "".join(f'<th class="n" scope="col">{name}</th>' for name in names)
    rows = "".join(_row(one, names, one is report.best) for one in report.systems)
    return (
        _figure(intervals_plot(report), caption)
        + f'<div class="wide"><table><thead><tr><th scope="col">System</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{_differences(report)}"
    )


def _row(one: Measured, names: list[str], best: bool) -> str:
    cells = "".join(
        f'<td class="n">{format_figure(figure.mean)}<small>{format_interval(figure)}</small></td>'
        for figure in map(one.metrics.__getitem__, names)
    )
    kind = ' class="best"' if best else ""
    return f"<tr{kind}>{_name_cell(one)}{cells}</tr>"


def _name_cell(one: Measured) -> str:
    return f'<td class="name"><span class="key">{one.letter}</span>{isolate(one.name)}</td>'


def _differences(report: Report) -> str:
    others = report.systems[1:]
    if not others:
        return ""
    head = "".join(f'<th class="n" scope="col">{name}</th>' for name in TESTED)
    rows = ""
    for one in others:
        cells = ""
        for name in TESTED:
            apart = one.differences[name]
            cells += (
                f'<td class="n">{format_signed(apart.mean)}<small>{format_interval(apart)}</small>'
                f"<small>{format_p(apart.p_holm)}; could show {format_figure(apart.smallest)}</small></td>"
            )
        rows += f"<tr>{_name_cell(one)}{cells}</tr>"
    return (
        f"<h3>Against what is live ({report.baseline.letter})</h3>"
        f'<div class="wide"><table><thead><tr><th scope="col">System</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        '<p class="note">Two-sided paired randomisation test over the same questions; p is corrected for'
        f" {len(others)} comparison{'s' * (len(others) != 1)} by Holm’s method, within each metric. “Could"
        " show” is the smallest difference that as many questions would have found with 80 %.</p>"
    )


def _costs(report: Report) -> str:
    rows = "".join(
        f'<tr>{_name_cell(one)}<td class="n">{format_milliseconds(one.latency)}</td>'
        f'<td class="n">{format_milliseconds(one.slow)}</td><td class="n">{format_bytes(one.memory)}</td>'
        f"<td>{as_html(one.precision)}</td></tr>"
        for one in report.systems
    )
    memory = quality_against_memory(report)
    return (
        _figure(quality_against_latency(report), "Left is faster, above is better.")
        + (_figure(memory, "Left is smaller, above is better.") if memory else "")
        + '<div class="wide"><table><thead><tr><th scope="col">System</th>'
        '<th class="n" scope="col">Median</th><th class="n" scope="col">19 of 20</th>'
        '<th class="n" scope="col">Vectors</th>'
        f'<th scope="col">Precision</th></tr></thead><tbody>{rows}</tbody></table></div>'
        f'<p class="note">{report.timed} questions were timed, systems taking turns with each, after each had'
        f" answered it once: {as_html(report.machine)}.</p>"
    )


def _questions(report: Report) -> str:
    others = sorted(report.systems[1:], key=lambda one: -one.metrics[_MAIN].mean)
    if not others:
        return '<p class="note">One system was measured; there is nothing to compare it with.</p>'
    shown = [_compared(report, one, first=at == 0) for at, one in enumerate(others[:_MOST_OPENED])]
    return "".join(shown)


def _compared(report: Report, one: Measured, first: bool) -> str:
    base = report.baseline.letter
    caption = f"{_MAIN} of {one.letter} less that of {base}; a bar for each question."
    return (
        f"<details{' open' * first}><summary>{one.letter} against {base}: {isolate(one.name)}</summary>"
        f"{_figure(difference_bars(report, one), caption)}{answers_html(report, one)}</details>"
    )


def answers_html(report: Report, one: Measured, count: int = 3) -> str:
    """The questions that gain and lose most, with both answers side by side."""
    gains, losses = most_apart(report, one, count)
    told = []
    for title, rows in (("Gains most", gains), ("Loses most", losses)):
        if rows:
            told.append(f"<h3>{title}</h3>" + "".join(_question(report, one, row) for row in rows))
    return "".join(told) or '<p class="note">Both give every question the same figure.</p>'


def _question(report: Report, one: Measured, row: Apart) -> str:
    kind = "gain" if row.difference > 0 else "loss"
    sides = "".join(
        f"<div><h4>{which.letter}: {format_figure(value)}</h4><ol>{''.join(map(_answer, answers))}</ol></div>"
        for which, value, answers in (
            (report.baseline, row.before, row.before_answers),
            (one, row.after, row.after_answers),
        )
    )
    return (
        f'<div class="question"><p>{isolate(row.text)}</p><p class="figures">'
        f'<span class="{kind}">{format_signed(row.difference)}</span> {_MAIN};'
        f" {row.relevant} judged relevant</p>"
        f'<div class="sides">{sides}</div></div>'
    )


def _answer(shown: Shown) -> str:
    if shown.grade is None:
        grade = '<span class="grade">not judged</span>'
    elif shown.grade > 0:
        grade = f'<span class="grade yes">relevant ({shown.grade})</span>'
    else:
        grade = '<span class="grade">judged, no answer</span>'
    return f"<li>{isolate(shown.title)} {grade}</li>"


def _rests_on(report: Report) -> str:
    rows = "".join(
        f'<tr>{_name_cell(one)}<td class="n">{100 * one.judged:.1f} %</td></tr>' for one in report.systems
    )
    missing = (
        f"<p>{report.missing:,} documents that are judged relevant are not in the collection: they count as"
        " not found.</p>"
        if report.missing
        else ""
    )
    notes = _paragraphs(report.notes)
    return (
        f"{notes}<h3>Judgments</h3><p>{as_html(judged_sentence(report))}</p>{missing}"
        '<div class="wide"><table><thead><tr><th scope="col">System</th>'
        '<th class="n" scope="col">Judged of the first ten</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        f"<h3>Text that no vector covers</h3>{_paragraphs(coverage_sentences(report.coverage))}"
    )


def _again(report: Report) -> str:
    rows = "".join(
        f"<dt>{as_html(name)}</dt><dd>{as_html(value)}</dd>" for name, value in reproduction(report)
    )
    return (
        f"<pre>{as_html(report.command)}</pre>"
        "<p>gives the same metrics as long as judgments, models and the log’s place are those below; times"
        f" differ with the machine.</p><dl>{rows}</dl>"
    )


def _figure(plot: str, caption: str) -> str:
    return f"<figure>{plot}<figcaption>{as_html(caption)}</figcaption></figure>"
