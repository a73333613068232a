"""A report as Markdown, for a wiki or a merge request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.report.model import TESTED, Measured, Report
from app.report.side_by_side import most_apart
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
from app.text import plain
from app.wording import format_bytes, format_milliseconds

__all__ = ["render_markdown"]

_MEANING = re.compile(r"([\\`*_{}\[\]()<>#+\-!|~&:@$^=.])")
_HARMLESS = re.compile(r"(?<=\w)[.\-](?=\w)|[.:](?=\s|$)|(?<=\s)-(?=\s)")


def render_markdown(report: Report) -> str:
    """The whole text."""
    lines = [f"# How well {_text(report.collection)} answers", "", _text(facts(report)), ""]
    lines += [f"> {_text(one)}" for one in summary(report)]
    names = list(report.baseline.metrics)
    rows = [[one.letter, _text(one.name), *(_metric(one, name) for name in names)] for one in report.systems]
    lines += ["", "## Quality", "", *_table(["", "System", *names], rows)]
    if len(report.systems) > 1:
        rows = [[one.letter, *(_difference(one, name) for name in TESTED)] for one in report.systems[1:]]
        lines += ["", f"Against {report.baseline.letter} (p corrected by Holm’s method):", ""]
        lines += _table(["", *TESTED], rows)
    rows = [
        [
            one.letter,
            format_milliseconds(one.latency),
            format_milliseconds(one.slow),
            format_bytes(one.memory),
            one.precision,
            f"{one.judged:.1%}",
        ]
        for one in report.systems
    ]
    lines += ["", "## Costs and judging", ""]
    lines += _table(["", "Median", "19 of 20", "Vectors", "Precision", "Judged of ten"], rows)
    lines += ["", _text(judged_sentence(report)), ""]
    if report.challenger is not None:
        lines += _questions(report, report.challenger)
    lines += ["## What the figures rest on", "", *(f"- {_text(one)}" for one in report.notes)]
    lines += [f"- {_text(one)}" for one in coverage_sentences(report.coverage)]
    lines += ["", "## Making it again", "", *_code(report.command), ""]
    lines += [f"- {_text(name)}: {_text(value)}" for name, value in reproduction(report)]
    return "\n".join(lines) + "\n"


def _questions(report: Report, one: Measured) -> list[str]:
    gains, losses = most_apart(report, one)
    lines = [f"## Questions that differ most: {one.letter} against {report.baseline.letter}", ""]
    for row in [*gains, *losses]:
        lines.append(f"- {_text(row.text)}: {format_signed(row.difference)}")
        for letter, answers in (
            (report.baseline.letter, row.before_answers),
            (one.letter, row.after_answers),
        ):
            told = "; ".join(f"{_text(shown.title)}{' ✓' * bool(shown.grade)}" for shown in answers[:3])
            lines.append(f"  - {letter}: {told}")
    return [*lines, ""]


def _metric(one: Measured, name: str) -> str:
    return f"{format_figure(one.metrics[name].mean)} {format_interval(one.metrics[name])}".replace("[", "\\[")


def _difference(one: Measured, name: str) -> str:
    apart = one.differences[name]
    figures = f"{format_signed(apart.mean)} {format_interval(apart)}, {format_p(apart.p_holm)}"
    return figures.replace("[", "\\[").replace("<", "\\<")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    marks = ["---"] * len(header)
    return [f"| {' | '.join(row)} |" for row in (header, marks, *rows)]


def _code(text: str) -> list[str]:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, plain(text), fence]


def _text(text: str) -> str:
    """`text` with nothing in it that Markdown reads as more than letters."""
    text = plain(" ".join(text.split()))
    kept = {match.start() for match in _HARMLESS.finditer(text)}
    return "".join(c if at in kept or not _MEANING.match(c) else f"\\{c}" for at, c in enumerate(text))
