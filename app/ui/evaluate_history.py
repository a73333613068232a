"""Past reports: one of them opened, and all of them over time."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import streamlit as st

from app.desk import measuring
from app.desk.visit import Desk
from app.report.history import Past
from app.report.model import TESTED, Measured, Report
from app.report.page import answers_html
from app.report.plots import (
    as_image,
    difference_bars,
    intervals_plot,
    quality_against_latency,
    quality_against_memory,
    timeline_plot,
)
from app.report.rendering import FORMATS, render
from app.report.side_by_side import questions_apart
from app.report.words import (
    coverage_sentences,
    facts,
    format_interval,
    format_p,
    format_signed,
    judged_sentence,
    summary,
)
from app.text import plain
from app.ui import place_markup
from app.ui.outside import as_html, as_label

__all__ = ["draw_past"]

_MAIN = TESTED[0]
_MIME = {"html": "text/html", "json": "application/json", "md": "text/markdown"}
_NAMES = {"html": "Page", "json": "JSON", "md": "Markdown"}


def draw_past(desk: Desk, name: str, uuid: str, past: list[Past]) -> None:
    """The newest report, or the one that is chosen, and how the figures moved."""
    chosen = st.selectbox("Report", past[::-1], format_func=_past_name, key=f"report of {len(past)}")
    report = _load(desk.identity, uuid, chosen.id, name, desk)
    st.html(
        f'<section class="st-report"><p class="st-report-facts">{as_html(facts(report))}</p>'
        + "".join(f"<p>{as_html(one)}</p>" for one in summary(report))
        + "</section>"
    )
    _draw_downloads(report, chosen.id)
    quality, costs, questions, rests, time = st.tabs(
        ["Quality", "Costs", "Questions", "What it rests on", "Over time"]
    )
    with quality:
        _draw_plot(intervals_plot(report), "The line shows where what is live stands.")
        _draw_table(_quality_rows(report))
    with costs:
        _draw_plot(quality_against_latency(report), "Left is faster, above is better.")
        memory = quality_against_memory(report)
        if memory:
            _draw_plot(memory, "Left is smaller, above is better.")
        _draw_table(_cost_rows(report))
    with questions:
        _draw_questions(report)
    with rests:
        _draw_rests(report)
    with time:
        _draw_time(past)


def _past_name(one: Past) -> str:
    source = one.source if one.source == "feedback" else f"{one.source.rsplit('/', 1)[-1]}: {one.split}"
    by = f" by {one.who}" if one.who else ""
    when = one.at[:16].replace("T", " ")
    return plain(f"{when} · {source} · {one.systems} compared{by}")


@st.cache_data(show_spinner=False, max_entries=8)
def _load(place: Hashable, uuid: str, number: int, _name: str, _desk: Desk) -> Report:
    return _desk.ask(measuring.report, _name, number)


def _draw_downloads(report: Report, number: int) -> None:
    with st.container(horizontal=True, key="report-downloads"):
        for form in FORMATS:
            st.download_button(
                as_label(_NAMES[form]),
                data=render(report, form),
                file_name=f"report-{number}.{form}",
                mime=_MIME[form],
                icon=":material/download:",
                key=f"download {form}",
                on_click="ignore",
            )


def _draw_plot(plot: str, caption: str) -> None:
    """As a picture of its own: Streamlit takes drawings out of HTML, and pictures it leaves."""
    st.html(f'<figure class="st-figure">{as_image(plot)}<figcaption>{as_html(caption)}</figcaption></figure>')


def _draw_table(rows: list[dict[str, Any]]) -> None:
    """Long names are cut at a width that leaves room for figures on a phone."""
    names = {name: st.column_config.TextColumn(width="medium") for name in ("System", "Question")}
    st.dataframe(rows, hide_index=True, width="stretch", column_config=names)


def _quality_rows(report: Report) -> list[dict[str, Any]]:
    rows = []
    for one in report.systems:
        figure, apart = one.metrics[_MAIN], one.differences.get(_MAIN)
        rows.append(
            {
                "": one.letter,
                "System": plain(one.name),
                _MAIN: round(figure.mean, 3),
                "95 %": format_interval(figure),
                "Against live": "–" if apart is None else format_signed(apart.mean),
                "95 % of that": "" if apart is None else format_interval(apart),
                "p (Holm)": "–" if apart is None else format_p(apart.p_holm).removeprefix("p = "),
                **{name: round(one.metrics[name].mean, 3) for name in one.metrics if name != _MAIN},
                "Judged of ten": f"{one.judged:.0%}",
            }
        )
    return rows


def _cost_rows(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "": one.letter,
            "System": plain(one.name),
            "Median ms": round(one.latency, 1),
            "19 of 20, ms": round(one.slow, 1),
            "Vectors, MiB": round(one.memory / 2**20, 2),
            "Precision": one.precision,
        }
        for one in report.systems
    ]


def _draw_questions(report: Report) -> None:
    others = sorted(report.systems[1:], key=lambda one: -one.metrics[_MAIN].mean)
    if not others:
        st.caption("One system was measured; there is nothing to compare it with.")
        return
    one: Measured = st.selectbox(
        as_label(f"Against {report.baseline.letter}, what is live"),
        others,
        format_func=lambda other: plain(f"{other.letter} · {other.name}"),
    )
    _draw_plot(difference_bars(report, one), f"{_MAIN}, a bar for each question.")
    st.html(f'<div class="st-apart">{answers_html(report, one)}</div>')
    with st.expander("Every question"):
        rows = [
            {
                "Question": plain(row.text),
                report.baseline.letter: round(row.before, 3),
                one.letter: round(row.after, 3),
                "Difference": round(row.difference, 3),
                f"First of {report.baseline.letter}": plain(row.before_answers[0].title)
                if row.before_answers
                else "",
                f"First of {one.letter}": plain(row.after_answers[0].title) if row.after_answers else "",
            }
            for row in questions_apart(report, one)
        ]
        _draw_table(rows)


def _draw_rests(report: Report) -> None:
    told = [*report.notes, judged_sentence(report), *coverage_sentences(report.coverage)]
    st.html("".join(f"<p>{as_html(one)}</p>" for one in told))
    st.caption("The same again, in a terminal:")
    st.code(plain(report.command), language=None, wrap_lines=True)


def _draw_time(past: list[Past]) -> None:
    st.html(place_markup.section("What people got", f"{_MAIN} of what was live, by judgments."))
    plot = timeline_plot(past)
    if plot:
        _draw_plot(plot, "Only reports by the same judgments can be compared: a line each.")
    _draw_table(
        [
            {
                "When": one.at[:16].replace("T", " "),
                "Judgments": plain(one.source.rsplit("/", 1)[-1] + (f": {one.split}" if one.split else "")),
                "Questions": one.questions,
                "Serving": one.serving,
                _MAIN: round(one.metrics[_MAIN], 3),
                "Best": round(one.best[_MAIN], 3),
                "Best system": plain(one.best_name),
                "By": plain(one.who),
            }
            for one in past[::-1]
        ]
    )
