"""What a report says, in sentences that need no figures to be read."""

from __future__ import annotations

from pathlib import PurePath

from app.report.model import TESTED, Coverage, Difference, Measured, Metric, Report
from app.report.systems import spell_system
from app.wording import format_count, format_duration

__all__ = [
    "ALPHA",
    "coverage_sentences",
    "facts",
    "format_figure",
    "format_interval",
    "format_p",
    "format_signed",
    "judged_sentence",
    "reproduction",
    "summary",
]

ALPHA = 0.05
_MAIN = TESTED[0]
_JUDGED_APART = 0.1  # a difference in judged answers from which a metric may be one of judging


def format_figure(value: float) -> str:
    """`.412`, as statistics write what cannot pass 1; `1.000`."""
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0") else text.replace("-0", "−", 1) if text.startswith("-0") else text


def format_signed(value: float) -> str:
    """`+.012`, `−.004`, `.000`."""
    text = format_figure(abs(value))
    return text if text == ".000" else f"{'+' if value > 0 else '−'}{text}"


def format_interval(one: Metric | Difference) -> str:
    """`[.38, .44]`, signed for a difference."""
    show = format_signed if isinstance(one, Difference) else format_figure
    return f"[{show(one.low)}, {show(one.high)}]"


def format_p(p: float) -> str:
    """`p = .031`, `p < .001`."""
    return "p < .001" if p < 0.001 else f"p = {format_figure(p)}" if p < 0.9995 else "p = 1"


def summary(report: Report) -> list[str]:
    """What was found, in a few sentences."""
    best, base = report.best, report.baseline
    asked = format_count(len(report.questions), "judged question")
    figure = f"{_MAIN} {format_figure(best.metrics[_MAIN].mean)} {format_interval(best.metrics[_MAIN])}"
    rival = report.challenger
    if rival is None:
        return [f"{_capital(base.name)} reaches {figure} on {asked}."]
    of = f"Of {format_count(len(report.systems), 'system')} compared on {asked}"
    if best is base:
        return [
            f"{of}, what people get now answers best, {_named(base)}: {figure}.",
            f"The next is {_named(rival)}; {_verdict(rival)}",
            *_clearly_worse(report),
        ]
    live = f"{base.letter}, {format_figure(base.metrics[_MAIN].mean)}"
    return [
        f"{of}, {_named(best)} answers best: {figure}.",
        f"Against what people get now ({live}) {_verdict(best)} {_costs(best, base)}",
        *_clearly_worse(report),
    ]


def _clearly_worse(report: Report) -> list[str]:
    worse = [
        _named(one)
        for one in report.systems[1:]
        if one.differences[_MAIN].p_holm <= ALPHA and one.differences[_MAIN].mean < 0
    ]
    return [f"Clearly worse than what people get now: {'; '.join(worse)}."] if worse else []


def _named(one: Measured) -> str:
    return f"{one.name[:1].lower()}{one.name[1:]} ({one.letter})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _verdict(one: Measured) -> str:
    apart = one.differences[_MAIN]
    figures = f"{format_signed(apart.mean)} {format_interval(apart)}, {format_p(apart.p_holm)}"
    if apart.p_holm <= ALPHA:
        how = "a gain" if apart.mean > 0 else "a loss"
        return f"that is {how} that chance does not explain ({figures})."
    return (
        f"the difference could be chance ({figures}). As many questions would have shown one of"
        f" {format_figure(apart.smallest)} or more."
    )


def _costs(best: Measured, base: Measured) -> str:
    times = best.latency / base.latency if base.latency else 1.0
    if 0.8 <= times <= 1.25:
        return "It takes about as long."
    return f"It takes {best.latency:.1f} ms a search in place of {base.latency:.1f} ms."


def judged_sentence(report: Report) -> str:
    """What unjudged answers mean for the figures."""
    base = report.baseline.judged
    told = (
        f"Somebody judged {100 * base:.0f} % of the first ten answers of what is live; the others count as"
        " wrong, which they need not be."
    )
    apart = [one.letter for one in report.systems[1:] if abs(one.judged - base) >= _JUDGED_APART]
    if not apart:
        return told
    return (
        f"{told} Of {', '.join(apart)} it is another share, so that part of their difference may come from"
        " judging."
    )


def coverage_sentences(coverage: Coverage) -> list[str]:
    """What of the text no vector covers."""
    looked = "all" if coverage.documents == coverage.all_documents else f"the first {coverage.documents:,} of"
    of = f"{looked} {format_count(coverage.all_documents, 'document')}"
    told = []
    if coverage.without:
        examples = ", ".join(coverage.examples)
        told.append(f"{format_count(coverage.without, 'document')} of {of} have no vector: {examples}.")
    share = coverage.uncovered / coverage.characters if coverage.characters else 0.0
    if coverage.uncovered:
        told.append(
            f"{coverage.uncovered:,} characters ({100 * share:.2f} %) of their texts lie in no passage."
        )
    else:
        told.append(f"Every character of {of} lies in a passage.")
    if coverage.limit is None:
        told.append("The model reads passages of any length.")
    elif not coverage.counted:
        told.append(
            f"The model reads {coverage.limit} tokens of a passage; how many are longer is not known."
        )
    elif coverage.cut:
        told.append(
            f"{coverage.cut:,} of {format_count(coverage.passages, 'passage')} are longer than the"
            f" {coverage.limit} tokens that the model reads: what follows has no part in their vectors."
        )
    else:
        told.append(f"No passage is longer than the {coverage.limit} tokens that the model reads.")
    return told


def facts(report: Report) -> str:
    """Where the figures come from, in one line."""
    if report.source == "feedback":
        judged = "feedback, its held-out side" if report.side == "heldout" else "feedback"
    else:
        judged = f"{PurePath(report.source).name}, split {report.split}"
    by = f", by {report.who}" if report.who else ""
    when = report.at[:16].replace("T", " ")
    return (
        f"{len(report.questions):,} judged questions ({judged}) · {when} UTC{by} ·"
        f" measured in {format_duration(report.seconds)}"
    )


def reproduction(report: Report) -> list[tuple[str, str]]:
    """What a second report must find the same, by name."""
    source = report.source if not report.split else f"{report.source}, split {report.split}"
    rows = [
        ("Collection", f"{report.collection} ({report.uuid})"),
        ("Place in its log", f"seq {report.seq}"),
        ("Judgments", source),
        ("Their fingerprint", report.judgments),
    ]
    for one in report.systems:
        prints = "; ".join(f"{what} {value[:16]}" for what, value in one.fingerprints.items())
        model = one.model or "vectors of your own"
        rows.append((one.letter, f"{spell_system(one.system)} ({model}, {one.precision}; {prints})"))
    return [*rows, ("Made with", f"stlib {report.version}; {report.machine}")]
