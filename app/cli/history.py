"""`stlib history`: what a collection serves, and served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, echo_rows, echo_wrapped, style
from app.settings import Location
from app.wording import format_count, format_model

if TYPE_CHECKING:
    from indexing.catalog.generations import GenerationInfo
    from indexing.catalog.servings import PromotionInfo
    from indexing.serving.history import Serving

__all__ = ["command"]

_VERBS = {
    "create": "made",
    "promote": "promoted",
    "rollback": "back to it",
    "trial": "tried",
    "trial end": "trial ended",
}


@click.command("history")
@click.argument("name")
@location_options
@json_option
def command(name: str, location: Location, as_json: bool) -> None:
    """Show every serving of collection NAME: what decides its answers, and what did so when."""
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        servings, generations = collection.servings(), collection.generations()
    served = {serving.generation for serving in servings}
    unserved = [generation for generation in generations if generation.id not in served]
    if as_json:
        begun = [{"id": one.id, "state": one.state, "followed_seq": one.followed_seq} for one in unserved]
        echo_json(
            {
                "collection": name,
                "servings": [serving.to_dict() for serving in servings],
                "unserved_generations": begun,
            }
        )
        return
    for serving in servings:
        _print_serving(serving)
    for generation in unserved:
        echo_wrapped(_describe_unserved(name, generation), dim=f"generation {generation.id}")


def _print_serving(serving: Serving) -> None:
    title = style(f"serving {serving.id}", bold=True)
    echo(title + (", live" if serving.live else ", tried beside the live one" if serving.trial else ""))
    passages = f"{serving.chunking.get('max_tokens')} tokens, overlap {serving.chunking.get('overlap')}"
    rows = [
        ("change", serving.note),
        ("model", f"{format_model(serving.model)}, {serving.dimension} dimensions"),
        ("stored", f"{serving.precision}, {serving.engine}, generation {serving.generation}"),
        ("passages", passages),
        *_describe_ranking(serving),
        ("reranker", serving.reranker or ""),
        ("learned", ", ".join(_learned(serving))),
        ("gate", "" if serving.gate is None else str(serving.gate.get("verdict"))),
        ("behind", format_count(serving.behind, "change") if serving.behind else ""),
        *((_VERBS.get(event.kind, event.kind), _describe_event(event)) for event in serving.promotions),
    ]
    echo_rows([(label, value) for label, value in rows if value])


def _describe_ranking(serving: Serving) -> list[tuple[str, str]]:
    from indexing.search.stored_ranking import read_ranking

    ranking = read_ranking(serving.ranking)
    boosts = "; ".join(f"{boost.weight:+g} where {boost.filter}" for boost in ranking.boosts)
    threshold = "" if ranking.threshold is None else f"{ranking.threshold:.2f}, below which an answer is weak"
    return [
        ("weights", ", ".join(f"{leg} {weight:.3g}" for leg, weight in ranking.weights.items())),
        ("features", ", ".join(f"{name} {weight:.3g}" for name, weight in ranking.features.items())),
        ("boosts", boosts),
        ("threshold", threshold),
    ]


def _learned(serving: Serving) -> list[str]:
    parts = (("a map of questions", serving.head), ("judged questions", serving.memory))
    return [what for what, there in parts if there]


def _describe_event(event: PromotionInfo) -> str:
    who = f" by {event.who}" if event.who else ""
    why = f", overriding: {event.override}" if event.override else ""
    return f"{event.at}{who}{why}"


def _describe_unserved(name: str, generation: GenerationInfo) -> str:
    if generation.state == "dropping":
        rest = f"is half dropped: `stlib drop-generation {name} {generation.id} --yes` goes on"
    else:
        rest = (
            f"is being built, or was left by a run that was stopped: the same `stlib reindex` goes on, and"
            f" `stlib drop-generation {name} {generation.id} --yes` gives its space back"
        )
    return f"generation {generation.id} ({format_model(generation.model)}, {generation.precision}) {rest}"
