"""The methods of `Collection` about what decides its answers: changing it, moving to it, going back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from indexing.again import read_again
from indexing.beside.models import BesideModel, read_beside
from indexing.catalog.database import writing
from indexing.catalog.generations import GenerationInfo, set_source
from indexing.catalog.servings import ROLLBACK, TRIAL
from indexing.documents import ChunkSettings
from indexing.errors import BadInput, LockedError
from indexing.generations.drop import drop_generation
from indexing.generations.plan import KEEP, Change, Plan, make_plan
from indexing.models.beside import describe_beside, load_beside
from indexing.models.encoders import load_encoder, recorded_name, remember_encoder, replaced_bundled
from indexing.models.held import Encoders
from indexing.models.rerankers import no_reranker, record_reranker
from indexing.opening import check_model
from indexing.search.artifacts import SettingsCache
from indexing.search.settings import SearchSettings, check_ranking
from indexing.serving.history import Serving, list_generations, list_servings
from indexing.serving.learned import PENDING, create_learned, end_trial, record_gate
from indexing.serving.promote import Promoted, previous_serving, promote
from indexing.serving.reindex import ReindexProgress, ReindexReport, reindex
from indexing.session import Session
from indexing.upkeep.compact import compact_if_worth
from indexing.views.manager import Views
from stlib.runtime import EncoderProtocol

__all__ = ["ServingMethods"]


class ServingMethods:
    """A part of `Collection`, which gives it the attributes below."""

    name: str
    _session: Session
    _views: Views
    _encoders: Encoders
    _settings: SettingsCache

    def reindex(
        self,
        model: Any = None,
        *,
        precision: str | None = None,
        engine: str | None = None,
        chunk: ChunkSettings | None = None,
        ranking: dict[str, Any] | None = None,
        reranker: Any = KEEP,
        sparse: Any = KEEP,
        tokens: Any = KEEP,
        promote: bool = True,
        who: str = "",
        progress: ReindexProgress | None = None,
        needs_gate: bool = False,
    ) -> ReindexReport:
        """Changes the model, the precision, the engine, the passages, the ranking, the reranker, or what
        passages have beside their vectors, while others search and add, and serves the result if `promote`.
        What is not given stays; `sparse=None` and `tokens=None` give up what they stand for, see
        `Collection.create`.

        Only the work that the change needs is done: another engine, ranking or reranker embeds nothing, a
        coarser precision is made from the codes where these are as fine, and what is so already is left so.
        With no change at all everything is embedded anew, with ranges of the codes from the documents there
        are now, and by the bundled model of this version where that of another one was used. One that was
        killed goes on where it was when it is called again. The serving before stays, and follows what is
        added: `rollback` goes back to it at once, `drop_generation` gives its space back.

        `needs_gate` is for what a program has learned: promoting it needs a verdict, see `record_gate`.

        Raises:
            BadInput: a setting that cannot be used.
            DiskFull: less room than is needed, which is said before anything is begun.
            LockedError: another process makes the same.
        """
        change = self._change(model, precision, engine, chunk, ranking, reranker, sparse, tokens)
        if needs_gate:
            change = replace(change, gate={"verdict": PENDING})
        return reindex(
            self._session,
            self._views,
            change,
            self._encoders,
            promote_it=promote,
            who=who,
            progress=progress,
        )

    def plan_reindex(
        self,
        model: Any = None,
        *,
        precision: str | None = None,
        engine: str | None = None,
        chunk: ChunkSettings | None = None,
        ranking: dict[str, Any] | None = None,
        reranker: Any = KEEP,
        sparse: Any = KEEP,
        tokens: Any = KEEP,
    ) -> Plan:
        """What `reindex` with these arguments would do, and the room it needs.

        The collection stays as it is. A model or reranker that is given is loaded, and remembered on this
        machine as one that was used by hand, as `reindex` does.
        """
        change = self._change(model, precision, engine, chunk, ranking, reranker, sparse, tokens)
        return make_plan(self._session, change)

    def _change(
        self,
        model: Any,
        precision: str | None,
        engine: str | None,
        chunk: ChunkSettings | None,
        ranking: dict[str, Any] | None,
        reranker: Any,
        sparse: Any,
        tokens: Any,
    ) -> Change:
        if chunk is not None and not isinstance(chunk, ChunkSettings):
            raise BadInput(f"chunk of type {type(chunk).__name__}: give ChunkSettings(max_tokens, overlap)")
        if ranking is not None:
            ranking = check_ranking(ranking)
        if reranker is not KEEP:
            reranker = None if no_reranker(reranker) else record_reranker(reranker)
        beside = {
            role: None if given is None else self._beside(role, given)
            for role, given in (("sparse", sparse), ("tokens", tokens))
            if given is not KEEP
        }
        change = Change(
            precision=precision, engine=engine, chunk=chunk, ranking=ranking, reranker=reranker, beside=beside
        )
        if model is not None:
            return self._with_model(change, model, remember_encoder(model, load_encoder(model)))
        live = self._session.live().generation
        newer = None if change.keeps_codes else replaced_bundled(live.model, live.fingerprint)
        return change if newer is None else self._with_model(change, live.model, newer)

    def _beside(self, role: str, given: Any) -> BesideModel:
        encoder = load_beside(role, given)
        self._encoders.hold_beside(role, encoder)
        before = read_beside(self._session.live().generation.beside)
        return describe_beside(role, given, encoder, before.get(role))

    def _with_model(self, change: Change, model: Any, encoder: EncoderProtocol) -> Change:
        self._encoders.hold(encoder)
        return replace(
            change,
            model=recorded_name(model, encoder),
            fingerprint=encoder.fingerprint,
            dimension=encoder.dimension,
        )

    @read_again
    def servings(self) -> list[Serving]:
        """Every serving, the oldest first, each with its generation and whether it is live."""
        return list_servings(self._session)

    def generations(self) -> list[GenerationInfo]:
        """Every generation, the oldest first; one that is being built or dropped has no serving."""
        return list_generations(self._session)

    def promote(
        self,
        serving: int,
        override: str | None = None,
        *,
        who: str = "",
        tried_beside: int | None = None,
    ) -> Promoted:
        """Makes `serving` the one that is searched, and ends a trial. `override` is the reason of a person
        who knows better than the figures; it is kept with `who` in the history. With `tried_beside` it is
        promoted only as long as it is tried beside that serving, which must be live.

        Raises:
            BadInput: there is no such serving, or it is not tried beside `tried_beside` any more.
            GateNotPassed: it was learned, the gate has not passed it against what is live now, and there is
                no `override`. What was live before needs no second test, if it passed once.
        """
        return promote(
            self._session,
            self._views,
            serving,
            self._encoders,
            who=who,
            override=override,
            tried_beside=tried_beside,
        )

    def create_serving(
        self, settings: SearchSettings, *, note: str, needs_gate: bool = True, made_from: int | None = None
    ) -> Serving:
        """A serving with the generation of `made_from` (None: of the live one) and these `settings`, which is
        not live yet. What was learned is stored with it in the catalog. `note` says in a few words what was
        changed; `needs_gate` that promoting it needs a verdict, see `record_gate`.

        Raises:
            BadInput: settings that cannot be used, or do not fit the vectors.
        """
        made = create_learned(self._session, settings, note, needs_gate=needs_gate, made_from=made_from)
        return next(one for one in self.servings() if one.id == made.id)

    def settings(self, serving: int | None = None) -> SearchSettings:
        """How a serving orders documents; None is the live one.

        Raises:
            BadInput: there is no such serving.
        """
        return self._settings.of(self._session.live(serving))

    def record_gate(self, serving: int, gate: dict[str, Any]) -> None:
        """Writes the verdict on a serving that was learned: `{"verdict": "passed"}` lets it be promoted, any
        other does not. With a `"baseline"`, the serving that it was compared with, it holds as long as that
        one is live. What else `gate` holds is kept for those who look at the history.

        Raises:
            BadInput: there is no such serving, or it was not learned.
        """
        record_gate(self._session, serving, gate)

    def start_trial(self, serving: int, *, who: str = "") -> Promoted:
        """Lets `serving` answer beside the live one, the two interleaved, until `end_trial` or a promotion.

        Raises:
            BadInput: there is no such serving, or it is live.
        """
        return promote(self._session, self._views, serving, self._encoders, kind=TRIAL, who=who)

    def end_trial(self, *, who: str = "", serving: int | None = None) -> int | None:
        """Lets the live serving answer alone; returns what was tried, None if nothing was.

        `serving` ends that one only.
        """
        return end_trial(self._session, who, serving)

    def trial(self) -> int | None:
        """The serving that answers beside the live one; None if none does."""
        return self._session.live().state.trial_serving

    def rollback(self, *, who: str = "", expected: int | None = None) -> Promoted:
        """Goes back to what was served before the present serving became live; with `expected` only if that
        one is live, so that going back twice by mistake does not go further back.

        Raises:
            BadInput: nothing was.
            AnotherIsLive: not the one that was `expected`; nothing was changed.
        """
        return promote(
            self._session,
            self._views,
            previous_serving(self._session, expected),
            self._encoders,
            kind=ROLLBACK,
            who=who,
            expected=expected,
        )

    def drop_generation(self, generation: int) -> int:
        """Deletes a generation that is not live, with its servings; returns how many passages it had.

        Raises:
            BadInput: it is live, or there is none.
        """
        dropped = drop_generation(self._session, self._views, generation)
        with suppress(LockedError), self._session.writing_documents():
            compact_if_worth(self._session, self._views)
        return dropped

    def relocate_model(self, path: Any) -> str:
        """Records that a model of this collection lies at `path` now; returns what is recorded.

        Raises:
            BadInput: there is no model, or the collection has none.
            ModelMismatch: it is no model of this collection; nothing was recorded, here or on this machine.
        """
        encoder = load_encoder(path)
        recorded = recorded_name(path, encoder)
        with writing(self._session.database) as connection:
            self._session.row(connection)
            moved = set_source(connection, self._session.id, encoder.fingerprint, recorded)
        if not moved:
            check_model(encoder, self._session.live().generation, self.name)
        self._encoders.hold(remember_encoder(path, encoder))
        return recorded
