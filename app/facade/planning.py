"""What a collection of another size would need: for one that is to be made, and for one that there is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from app.settings import Location
from indexing.errors import BadInput
from indexing.names import BUNDLED_MODEL, DEFAULT_PRECISION
from indexing.sizing import SETUPS, Limits, Machines, ModelFacts, Plan, Workload, find_model, make_plan
from indexing.sizing.models import known_names

if TYPE_CHECKING:
    from indexing.sizing.existing import Existing

__all__ = ["PlanChoices", "plan_collection", "plan_documents"]

_TOKEN_NUMBERS = 96  # of the vector of a token, as most late-interaction models have
TIMES = 10
"""How many times as many documents a collection is planned for unless something is said."""


@dataclass(frozen=True)
class PlanChoices:
    """What is asked. Of a collection that exists its own settings stand for what is None.

    Attributes:
        speed: passages that one core embeds in a second.
        sparse, tokens: models of what passages have beside their vectors; "" and None for none.
        engine: in place of the usual one, where it fits.
    """

    documents: int | None = None
    length: float | None = None
    model: str | None = None
    dimension: int | None = None
    speed: float | None = None
    precision: str | None = None
    engine: str | None = None
    sparse: str | None = None
    tokens: str | None = None
    max_tokens: int = 256
    overlap: int = 32
    characters_per_token: float | None = None
    machines: Machines = field(default_factory=Machines)
    limits: Limits = field(default_factory=Limits)


def plan_documents(choices: PlanChoices) -> Plan:
    """The sums for documents that nobody has indexed yet.

    Raises:
        BadInput: a number that cannot be, or a model of which nothing is known.
    """
    if choices.documents is None or choices.length is None:
        raise BadInput("give how many documents there are, and how many characters each has")
    if not 0 <= choices.overlap <= choices.max_tokens // 2:
        raise BadInput(
            f"--overlap {choices.overlap}: allowed is 0 to half of --max-tokens ({choices.max_tokens // 2})"
        )
    workload = Workload(
        documents=choices.documents,
        length=choices.length,
        model=_find(choices),
        precision=choices.precision or DEFAULT_PRECISION,
        max_tokens=choices.max_tokens,
        overlap=choices.overlap,
        characters_per_token=choices.characters_per_token,
        sparse=_beside("sparse", choices.sparse, choices.speed),
        late=_beside("tokens", choices.tokens, choices.speed),
    )
    if choices.speed is not None:
        workload = workload.at_speed(choices.speed)
    engines = dict.fromkeys(SETUPS, choices.engine) if choices.engine else {}
    return make_plan(workload, choices.machines, choices.limits, engines)


def plan_collection(
    location: Location, name: str, times: float | None, choices: PlanChoices
) -> tuple[Existing, Plan]:
    """Collection `name` as it is, and the sums for `times` as many documents, or for as many as are chosen.

    Raises:
        BadInput: it is empty, or the speed of its model is not known and not given.
    """
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        now = collection.sums(machines=choices.machines, limits=choices.limits, speed=choices.speed)
    documents = choices.documents or max(1, round(now.workload.documents * (times or TIMES)))
    changes: dict[str, Any] = {"precision": choices.precision} if choices.precision else {}
    workload = replace(now.workload, documents=documents, **changes)
    engines = dict.fromkeys(SETUPS, choices.engine) if choices.engine else {now.sums.setup: now.sums.engine}
    plan = make_plan(workload, choices.machines, choices.limits, engines)
    return now, plan if changes else now.corrected(plan)


def _find(choices: PlanChoices) -> ModelFacts:
    """The model that is asked about; what is given by hand counts more than what is known."""
    name = choices.model or BUNDLED_MODEL
    try:
        found = find_model(choices.model)
    except BadInput:
        if choices.dimension is None or choices.speed is None:
            raise
        found = None
    if found is None and (choices.dimension is None or choices.speed is None):
        missing = [
            f"--{option} {what}"
            for option, what in (("dimension", "NUMBER"), ("speed", "PASSAGES_A_SECOND"))
            if getattr(choices, option) is None
        ]
        raise BadInput(
            f"model {name!r}: nothing is known of it here: give {' and '.join(missing)} (of one core), its"
            f" folder, or one of {', '.join(known_names())}"
        )
    facts = found or ModelFacts(name, choices.dimension or 0, how="given")
    return facts if choices.dimension is None else replace(facts, dimension=choices.dimension)


def _beside(role: str, model: str | None, speed: float | None) -> ModelFacts | None:
    if not model:
        return None
    found = find_model(model, role=role)
    if found is None and speed is not None:
        return ModelFacts(model, _TOKEN_NUMBERS, how="given")
    if found is None or (found.tokens_per_second is None and speed is None):
        raise BadInput(
            f"--{role} {model!r}: nothing is known of this model here: give its folder, or --speed for all"
        )
    return found
