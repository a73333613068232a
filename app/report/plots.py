"""Plots of a report as SVG: drawn here, readable by a screen reader, in light, in dark and on paper.

Colours are those of the page around (`currentColor`), and an accent that it may set as `--accent`. Every plot
has a title and a description; systems are told by their letters, which the table has too.
"""

from __future__ import annotations

import base64
import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.report.history import Past
from app.report.markup import as_html
from app.report.model import TESTED, Measured, Report
from app.report.words import format_figure, format_interval, format_signed
from app.wording import format_bytes, format_milliseconds

__all__ = [
    "as_image",
    "difference_bars",
    "intervals_plot",
    "quality_against_latency",
    "quality_against_memory",
    "timeline_plot",
]

_MAIN = TESTED[0]
_ACCENT = "var(--accent, #0b7a75)"
_BAD = "var(--bad, #b3402a)"
_MOST_BARS = 300  # more than a screen has room for; what is left out is said


@dataclass(frozen=True)
class _Scale:
    """Values `low` to `high` as places `start` to `end`, by their logarithm with `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        at = math.log(max(value, self.low)) if self.log else value
        return self.start + (at - low) / (high - low) * (self.end - self.start)


def intervals_plot(report: Report) -> str:
    """A row for each system: its mean as a dot on the interval, and a line where the baseline stands."""
    systems = report.systems
    low = min(one.metrics[_MAIN].low for one in systems)
    high = max(one.metrics[_MAIN].high for one in systems)
    room = max(0.01, (high - low) * 0.06)
    x = _Scale(max(0.0, low - room), min(1.0, high + room), 34, 588)
    height = 30 + 26 * len(systems) + 26
    base = x(report.baseline.metrics[_MAIN].mean)
    parts = [_axis(x, _ticks(x.low, x.high), height - 26, 16, format_figure)]
    parts.append(f'<line x1="{base:.1f}" x2="{base:.1f}" y1="16" y2="{height - 26}" class="base"/>')
    for row, one in enumerate(systems):
        y, figure = 34 + 26 * row, one.metrics[_MAIN]
        kind = "best" if one is report.best else "dot"
        parts.append(
            f"<g><title>{as_html(one.name)}: {format_figure(figure.mean)} {format_interval(figure)}</title>"
            f'<text x="4" y="{y + 4}" class="letter">{one.letter}</text>'
            f'<line x1="{x(figure.low):.1f}" x2="{x(figure.high):.1f}" y1="{y}" y2="{y}"'
            f' class="whisker {kind}"/>'
            f'<circle cx="{x(figure.mean):.1f}" cy="{y}" r="5" class="{kind}"/></g>'
        )
    told = "; ".join(
        f"{one.letter} {format_figure(one.metrics[_MAIN].mean)} {format_interval(one.metrics[_MAIN])}"
        for one in systems
    )
    return _svg(600, height, f"{_MAIN} of each system with its interval", told, parts)


def quality_against_latency(report: Report) -> str:
    """Each system as a point: to the left is faster, above is better."""
    costs = [max(one.latency, 0.01) for one in report.systems]
    return _scatter(report, costs, "milliseconds a search (median)", format_milliseconds)


def quality_against_memory(report: Report) -> str:
    """The same against the bytes of vectors; empty where all have the same."""
    if len({one.memory for one in report.systems}) < 2:
        return ""
    costs = [float(max(one.memory, 1)) for one in report.systems]
    return _scatter(report, costs, "vectors that a search goes through", format_bytes)


def difference_bars(report: Report, one: Measured) -> str:
    """A bar for each question, the largest gain first and the largest loss last."""
    base = report.baseline.values[_MAIN]
    apart = sorted((one.values[_MAIN][question] - value for question, value in base.items()), reverse=True)
    shown = _thin(apart)
    width, height, middle = 600, 150, 70
    step = (width - 66) / len(shown)
    reach = max(max(map(abs, shown)), 0.05)
    bars = []
    for at, value in enumerate(shown):
        tall = abs(value) / reach * 60
        if tall:
            top = middle - tall if value > 0 else middle
            bars.append(
                f'<rect x="{60 + at * step:.2f}" y="{top:.2f}" width="{max(step * 0.82, 0.6):.2f}"'
                f' height="{tall:.2f}" class="{"gain" if value > 0 else "loss"}"/>'
            )
    wins, losses = sum(value > 1e-12 for value in apart), sum(value < -1e-12 for value in apart)
    marks = "".join(
        f'<text x="54" y="{middle - sign * 60 + 4}" class="tick end">{format_signed(sign * reach)}</text>'
        for sign in (1, -1)
    )
    parts = [
        *bars,
        f'<line x1="60" x2="{width - 6}" y1="{middle}" y2="{middle}" class="axis"/>',
        marks,
        f'<text x="{width / 2}" y="{height - 4}" class="tick middle">'
        f"{wins} better, {len(apart) - wins - losses} the same, {losses} worse</text>",
    ]
    what = f"{_MAIN} of {one.letter} less that of {report.baseline.letter}, question by question"
    return _svg(width, height, what, f"{wins} questions are better, {losses} worse, of {len(apart)}", parts)


def as_image(plot: str) -> str:
    """`plot` as an `<img>` that has its own colours, for pages that allow no drawing within their HTML."""
    if not plot:
        return ""
    alternative = html.unescape(" ".join(re.findall(r"<(?:title|desc)>(.*?)</(?:title|desc)>", plot)[:2]))
    coloured = plot.replace("<style>", f"<style>{_COLOURS}", 1)
    data = base64.b64encode(coloured.encode("utf-8")).decode("ascii")
    return f'<img class="plot" alt="{as_html(alternative)}" src="data:image/svg+xml;base64,{data}">'


def _thin(values: list[float]) -> list[float]:
    """At most `_MOST_BARS`, taken evenly, so that the shape stays."""
    if len(values) <= _MOST_BARS:
        return values
    return [values[round(at * (len(values) - 1) / (_MOST_BARS - 1))] for at in range(_MOST_BARS)]


def _scatter(report: Report, costs: Sequence[float], label: str, show: object) -> str:
    width, height = 600, 300
    low, high = min(costs), max(costs)
    x = _Scale(low / 1.35, high * 1.35, 52, width - 16, log=True)
    figures = [one.metrics[_MAIN] for one in report.systems]
    lowest, highest = min(one.mean for one in figures), max(one.mean for one in figures)
    room = max(0.01, (highest - lowest) * 0.2)
    y = _Scale(max(0.0, lowest - room), min(1.0, highest + room), height - 46, 14)
    parts = [
        f'<line x1="52" x2="{width - 16}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" class="grid"/>'
        f'<text x="46" y="{y(tick) + 4:.1f}" class="tick end">{format_figure(tick)}</text>'
        for tick in _ticks(y.low, y.high, 4)
    ]
    parts += [
        f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{height - 46}" y2="{height - 41}" class="axis"/>'
        f'<text x="{x(tick):.1f}" y="{height - 27}" class="tick middle">{show(tick)}</text>'  # type: ignore[operator]
        for tick in _log_ticks(x.low, x.high, show is format_bytes)
    ]
    parts.append(f'<line x1="52" x2="{width - 16}" y1="{height - 46}" y2="{height - 46}" class="axis"/>')
    parts.append(
        f'<text x="{(52 + width - 16) / 2}" y="{height - 6}" class="tick middle">{as_html(label)}</text>'
    )
    taken: list[tuple[float, float]] = []
    for one, cost, figure in zip(report.systems, costs, figures, strict=True):
        at, up = x(cost), y(figure.mean)
        beside, above = _free(at, up, taken, width)
        parts.append(
            f"<g><title>{as_html(one.name)}: {format_figure(figure.mean)}, {show(cost)}</title>"  # type: ignore[operator]
            f'<circle cx="{at:.1f}" cy="{up:.1f}" r="6" class="{"best" if one is report.best else "dot"}"/>'
            f'<text x="{beside:.1f}" y="{above + 4:.1f}" class="letter">{one.letter}</text></g>'
        )
    told = "; ".join(
        f"{one.letter} {format_figure(figure.mean)} at {show(cost)}"  # type: ignore[operator]
        for one, cost, figure in zip(report.systems, costs, figures, strict=True)
    )
    return _svg(width, height, f"{_MAIN} against {label}", told, parts)


def _free(at: float, up: float, taken: list[tuple[float, float]], width: float) -> tuple[float, float]:
    """Where a letter stands beside a point without covering another one."""
    offsets = [
        (10, 0),
        (-20, 0),
        (10, 14),
        (10, -14),
        (-20, 14),
        (-20, -14),
        (24, 0),
        (-34, 0),
        (24, 14),
        (24, -14),
    ]
    for right, down in offsets:
        place = (at + right, up + down)
        inside = 54 <= place[0] <= width - 24
        if inside and all(abs(place[0] - x) > 12 or abs(place[1] - y) > 12 for x, y in taken):
            break
    else:
        place = (at + 10, up)
    taken.append(place)
    taken.append((at - 5, up))  # the point itself
    return place


def _axis(x: _Scale, ticks: Sequence[float], bottom: float, top: float, show: object) -> str:
    return "".join(
        f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{bottom}" class="grid"/>'
        f'<text x="{x(tick):.1f}" y="{bottom + 17}" class="tick middle">{show(tick)}</text>'  # type: ignore[operator]
        for tick in ticks
    )


def _ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Round values between `low` and `high`, about as many as are wanted."""
    rough = (high - low) / wanted
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * by for by in (1, 2, 5, 10) if power * by >= rough)
    first = math.ceil(low / step - 1e-9)
    return [at * step for at in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, binary: bool) -> list[float]:
    if binary:
        powers = [2.0**at for at in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]
        return powers[:: max(1, len(powers) // 5)] or [math.sqrt(low * high)]
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [by * 10.0**at for at in range(first, last + 1) for by in (1, 2, 5)]
    inside = [one for one in ticks if low <= one <= high]
    return inside if len(inside) <= 7 else [one for one in inside if f"{one:e}"[0] == "1"]


def _svg(width: float, height: float, title: str, description: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {width:g} {height:g}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{as_html(title)}</title><desc>{as_html(description)}</desc>"
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>"
    )


_COLOURS = (
    ":root{color:#1c2526;--accent:#0b7a75;--bad:#b3402a}"
    "@media(prefers-color-scheme:dark){:root{color:#e4e8e7;--accent:#4fc3b8;--bad:#ef8b74}}"
)
_STYLE = (
    ".plot{width:100%;height:auto;font:12px system-ui,sans-serif}"
    ".plot text{fill:currentColor}.plot .tick{font-size:11px;opacity:.75}"
    ".plot .middle{text-anchor:middle}.plot .end{text-anchor:end}.plot .letter{font-weight:600}"
    ".plot .grid{stroke:currentColor;opacity:.13}.plot .axis{stroke:currentColor;opacity:.5}"
    ".plot .base{stroke:currentColor;stroke-dasharray:4 4;opacity:.6}"
    ".plot .whisker{stroke:currentColor;stroke-width:2;opacity:.7}"
    f".plot .whisker.best{{stroke:{_ACCENT};opacity:1}}"
    f".plot .series{{fill:none;stroke:{_ACCENT};stroke-width:2}}"
    ".plot circle.dot{fill:currentColor;opacity:.75}"
    f".plot circle.best{{fill:{_ACCENT}}}.plot .gain{{fill:{_ACCENT}}}.plot .loss{{fill:{_BAD}}}"
    "@media(max-width:640px){.plot,.plot .letter{font-size:19px}.plot .tick{font-size:17px}}"
)


def timeline_plot(past: Sequence[Past]) -> str:
    """What was live, report by report: a line for each set of judgments; empty for fewer than two."""
    if len(past) < 2:
        return ""
    means = [one.metrics[_MAIN] for one in past]
    room = max(0.01, (max(means) - min(means)) * 0.2)
    width, height = 600, 220
    x = _Scale(0, len(past) - 1, 66, width - 30)
    y = _Scale(max(0.0, min(means) - room), min(1.0, max(means) + room), height - 40, 14)
    parts = [
        f'<line x1="52" x2="{width - 16}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" class="grid"/>'
        f'<text x="46" y="{y(tick) + 4:.1f}" class="tick end">{format_figure(tick)}</text>'
        for tick in _ticks(y.low, y.high, 4)
    ]
    lines: dict[str, list[tuple[int, Past]]] = {}
    for at, one in enumerate(past):
        lines.setdefault(one.judgments, []).append((at, one))
    for row in lines.values():
        points = " ".join(f"{x(at):.1f},{y(one.metrics[_MAIN]):.1f}" for at, one in row)
        parts.append(f'<polyline points="{points}" class="series"/>')
        for at, one in row:
            parts.append(
                f"<g><title>{as_html(one.at[:10])}, serving {one.serving}:"
                f" {format_figure(one.metrics[_MAIN])}</title>"
                f'<circle cx="{x(at):.1f}" cy="{y(one.metrics[_MAIN]):.1f}" r="5" class="dot"/></g>'
            )
    ends = (("end" if at else "start", at) for at in (0, len(past) - 1))
    parts += [
        f'<text x="{52 if side == "start" else width - 16}" y="{height - 12}" class="tick {side}">'
        f"{as_html(past[at].at[:10])}</text>"
        for side, at in ends
    ]
    told = "; ".join(f"{one.at[:10]} {format_figure(one.metrics[_MAIN])}" for one in past)
    return _svg(width, height, f"{_MAIN} of what was live over time", told, parts)
