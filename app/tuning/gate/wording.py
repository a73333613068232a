"""The gate's report in sentences that need no statistics to be read."""

from __future__ import annotations

from app.statistics.multiple import ALPHA
from app.tuning.gate.model import FAILED, PASSED, GateReport, GuardChange, MetricChange
from app.wording import format_count

__all__ = ["write_sentences"]


def write_sentences(report: GateReport) -> tuple[str, ...]:
    """The verdict, what it rests on, and what to do next."""
    change = report.metrics["NDCG@10"]
    sentences = [_verdict(report, change), _wins(report), _means(change), _test(report)]
    if change.detectable is not None:
        sentences.append(
            f"So many questions would have shown a gain of {change.detectable:.3f} or more in 8 of 10 cases;"
            " a smaller one may be there unseen."
        )
    sentences.append(_judged(report))
    if report.guard is not None:
        sentences.append(_guard(report.guard))
    else:
        sentences.append("No guard set was named, so nothing watches over questions outside the feedback.")
    if report.replay is not None:
        sentences.append(
            f"Of {format_count(report.replay.questions, 'past question')},"
            f" {report.replay.changed_first:.0%} get another first answer, and of the best ten"
            f" {report.replay.changed_ten:.0%} are other documents."
        )
    return (*sentences, *report.notes)


def _verdict(report: GateReport, change: MetricChange) -> str:
    if report.verdict == PASSED:
        return "Passed: the candidate answers better, by more than chance explains."
    if report.verdict != FAILED:
        documents = format_count(len(report.to_judge), "answer")
        return (
            f"Undecided: judge these {documents} first. Fewer answers of one side were ever judged, and these"
            " could turn the verdict."
        )
    if report.guard is not None and not report.guard.held and report.p <= report.alpha:
        return "Failed: the candidate answers these questions better, and those of the guard set worse."
    if change.difference <= 0:
        return "Failed: the candidate does not answer better than what is live."
    return "Failed: the candidate looks better, and chance would explain it."


def _wins(report: GateReport) -> str:
    total = format_count(report.wins + report.losses + report.ties, "question")
    seen = (
        f"On {total}, each answered by what was learned without it in {report.folds} parts,"
        if report.cross_fitted
        else f"On {total} it never saw,"
    )
    return (
        f"{seen} the candidate answers better on {report.wins}, worse on {report.losses} and the same on"
        f" {report.ties}."
    )


def _means(change: MetricChange) -> str:
    between = ""
    if change.low is not None and change.high is not None:
        between = (
            f"; with 95 % certainty the true change lies between {change.low:+.3f} and {change.high:+.3f}"
        )
    return f"NDCG@10 goes from {change.before:.3f} to {change.after:.3f} ({change.difference:+.3f}){between}."


def _test(report: GateReport) -> str:
    look = f"This is look {report.look} at these questions, which may spend {report.alpha:.4f} of {ALPHA:g}"
    if report.look == 1:
        look = f"This is the first look at these questions, which may spend {report.alpha:.4f} of {ALPHA:g}"
    verdict = "below" if report.p <= report.alpha else "above"
    text = f"{look}; p is {_format_p(report.p)}, {verdict} it."
    if report.look > 1 and report.p > report.alpha:
        text += " Each further look may spend less: judge new questions to begin anew."
    return text


def _format_p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else f"{p:.0e}"


def _judged(report: GateReport) -> str:
    before, after = report.judged_at_10["before"], report.judged_at_10["after"]
    return (
        f"Of the best ten answers {before:.0%} were judged before and {after:.0%} of the candidate's; what"
        " nobody judged counts as wrong here."
    )


def _guard(guard: GuardChange) -> str:
    low = "unknown" if guard.low is None else f"{guard.low:+.3f}"
    held = "which is allowed" if guard.held else "which is more than may be lost"
    return (
        f"On {format_count(guard.questions, 'question')} of the guard set {guard.name!r} NDCG@10 changes by"
        f" {guard.difference:+.3f}, and by no less than {low} with 95 % certainty, {held}"
        f" ({guard.allowed:+.2f})."
    )
