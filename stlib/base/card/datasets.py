"""What a model card says about data sets: names, sizes, the lengths of their texts, and a few examples."""

from __future__ import annotations

import itertools
import logging
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from stlib.base.card.columns import (
    LONGEST_EXAMPLE,
    column_statistics,
    describe_loss,
    is_media_file,
    light,
    show,
)

logger = logging.getLogger(__name__)

# Rows that statistics and labels are taken from, and examples that are shown.
_STATISTICS_ROWS = 100
_SAMPLE_ROWS = 1000
_EXAMPLES = 3

# Examples for the hub's widget: how many, of how many texts, from how many rows of a data set.
_WIDGETS = 5
_WIDGET_TEXTS = 4
_WIDGET_ROWS = 1000

_HUB_FILE = re.compile(r"hf://datasets/(?P<id>[^@/]+/[^@/]+)@(?P<revision>[0-9a-f]+)/")


class DatasetDescriptions:
    """The part of the card data that looks at data sets (``datasets.Dataset``, or a dict of them)."""

    language: Any
    local_files_only: bool
    generate_widget_examples: bool
    widget: list[dict[str, Any]]
    usage_examples: list[str] | None
    label_example_list: list[dict[str, Any]]
    model: Any
    ir_model: bool | None
    tags: list[str]

    def add_tags(self, tags: str | list[str]) -> None:
        """Add a tag or several; one that is there is not added again."""
        self.tags += [tag for tag in ([tags] if isinstance(tags, str) else tags) if tag not in self.tags]

    def validate_datasets(
        self, dataset_list: list[dict[str, Any]], infer_languages: bool | None = None
    ) -> list[dict[str, Any]]:
        """Give every entry a name; the id serves if there is none.

        Args:
            dataset_list: entries with ``"name"`` or ``"id"``, or both.
            infer_languages: also ask the hub for the language of each ``"id"``, unless the card has one or
                ``local_files_only`` forbids it.
        """
        entries = [{"name": entry.get("id", "unnamed"), **entry} for entry in dataset_list]
        if infer_languages and not self.language and not self.local_files_only:
            languages = [_language_on_hub(entry["id"]) for entry in entries if "id" in entry]
            self.language = sorted(set(itertools.chain.from_iterable(languages)))
        return entries

    def infer_datasets(self, dataset: Any, dataset_name: str | None = None) -> list[dict[str, Any]]:
        """Names, and ids and revisions where the data came from the hub, of a data set or a dict of them."""
        if isinstance(dataset, Mapping):
            return [entry for name, one in dataset.items() for entry in self.infer_datasets(one, name)]
        info = getattr(dataset, "info", None)
        files = getattr(info, "download_checksums", None) or {}
        for file in files:
            if match := _HUB_FILE.match(file):
                found = match.groupdict()
                return [{"name": dataset_name or found["id"].split("/")[1], **found}]
        if dataset_name and re.fullmatch(r"_dataset_\d+", dataset_name):  # of a loader passed to fit
            dataset_name = None
        return [{"name": dataset_name or getattr(info, "dataset_name", None) or "unnamed"}]

    def compute_dataset_metrics(
        self,
        dataset: Any,
        dataset_info: dict[str, Any],
        loss: Any,
        router_mapping: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Add size, columns, statistics, examples and the loss to an entry, and return it.

        Lengths of texts are in tokens of the model, or in characters if it has no tokenizer; they are those
        of the first hundred rows. Of a data set that is a stream only the columns are known, as rows that
        are read here might be missed in the training.
        """
        if hasattr(dataset, "__len__"):
            # One row at a time, as a row of pictures may be large.
            count = range(min(len(dataset), _STATISTICS_ROWS))
            rows = [{name: light(value) for name, value in dataset[i].items()} for i in count]
            columns = [name for name in (rows[0] if rows else dataset.column_names) if name != "dataset_name"]
            routes = router_mapping or {}
            dataset_info["size"] = len(dataset)
            dataset_info["stats"] = {
                column: column_statistics([row[column] for row in rows], self.model, routes.get(column))
                for column in columns
            }
            dataset_info["examples"] = [
                {column: show(row[column]) for column in columns} for row in rows[:_EXAMPLES]
            ]
        else:
            columns = [name for name in dataset.column_names or [] if name != "dataset_name"]
        dataset_info["columns"] = columns
        if loss is not None:
            dataset_info["loss"] = describe_loss(loss)
        if router_mapping:
            dataset_info["routes"] = {
                column: router_mapping[column] for column in columns if column in router_mapping
            }
        return dataset_info

    def extract_dataset_metadata(
        self,
        dataset: Any,
        dataset_metadata: list[dict[str, Any]],
        loss: Any,
        dataset_type: str,
        router_mapping: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Entries for the card of a data set, or of a dict of them with a loss each.

        Args:
            dataset: what was trained or evaluated on; None gives the entries back as they are.
            dataset_metadata: entries given by the user; inferred if empty.
            loss: the loss, or one for each name.
            dataset_type: ``"train"`` or ``"eval"``, for the log.
            router_mapping: route of each column, or of each column of each name.
        """
        if dataset is None:
            return self.validate_datasets(dataset_metadata)
        named = dict(dataset) if isinstance(dataset, Mapping) else {None: dataset}
        entries = [dict(entry) for entry in dataset_metadata]
        if len(entries) != len(named):
            if entries:
                logger.warning(
                    "%d %s_datasets are described, but there are %d", len(entries), dataset_type, len(named)
                )
            entries = [entry for name, one in named.items() for entry in self.infer_datasets(one, name)]
        for entry, (name, one) in zip(entries, named.items(), strict=True):
            own_loss = loss.get(name) if isinstance(loss, Mapping) else loss
            routes = (router_mapping or {}).get(name, router_mapping) if name else router_mapping
            self.compute_dataset_metrics(one, entry, own_loss, routes if isinstance(routes, dict) else None)
        if dataset_type == "train":
            self._note_training_data(named.values(), entries)
        return self.validate_datasets(entries)

    def _note_training_data(self, datasets: Iterable[Any], entries: list[dict[str, Any]]) -> None:
        """Tell the tags the number of rows, and that questions among the columns mean retrieval."""
        if rows := sum(entry.get("size", 0) for entry in entries):
            self.add_tags(f"dataset_size:{rows}")
        columns = {column for dataset in datasets for column in dataset.column_names or []}
        if self.ir_model is None and columns & {"query", "question"}:
            self.ir_model = True

    def set_widget_examples(self, dataset: Any) -> None:
        """Take texts of random rows, short ones first, for the hub's widget and the example of the card.

        Draws from :mod:`random` as often as the reference does when a trainer is built, so that what a
        training draws afterwards (sizes, layers) are the same numbers in both.
        """
        if not self.generate_widget_examples:
            return
        sets = dict(dataset) if isinstance(dataset, Mapping) else {"dataset": dataset}
        for name, count in Counter(random.choices([*sets], k=_WIDGETS)).items():  # noqa: S311
            if not hasattr(sets[name], "__len__"):
                continue  # a row of a stream that is read here might be missed in the training
            rows = [texts for row in _draw_rows(sets[name]) if (texts := _texts_of(row))]
            rows.sort(key=lambda texts: sum(map(len, texts)))  # short ones are read at a glance
            spare = rows[count:][::-1]
            for at, texts in enumerate(rows[:count]):
                self._add_widget(texts, spare, rows[at + 1 : count] + rows[:at])

    def _add_widget(self, texts: list[str], spare: list[list[str]], others: list[list[str]]) -> None:
        """Add an example of a row's texts; what it lacks is what other rows answer: spare ones, or any if
        there are too few of these.
        """
        while len(texts) < _WIDGET_TEXTS and spare:
            texts = [*texts, _answer_of(spare.pop())]
        if len(texts) >= _WIDGET_TEXTS:
            texts = [texts[0], *random.sample(texts[1:], k=len(texts) - 1)]
        else:
            texts = list(dict.fromkeys([*texts, *map(_answer_of, others)]))[:_WIDGET_TEXTS]
        source, *answers = [text[:LONGEST_EXAMPLE] for text in texts]
        if answers:
            self.widget.append({"source_sentence": source, "sentences": answers})
            self.usage_examples = self.usage_examples or [source, *answers][: 4 if self.ir_model else 3]

    def set_label_examples(self, dataset: Any) -> None:
        """Note up to three texts for each value of the column ``label``."""
        texts: dict[Any, list[str]] = {}
        for row in itertools.islice(iter(dataset), _SAMPLE_ROWS):
            label = row.get("label", row.get("labels"))
            text = next((value for value in row.values() if isinstance(value, str)), None)
            if label is not None and text is not None and len(texts.setdefault(label, [])) < _EXAMPLES:
                texts[label].append(text[:LONGEST_EXAMPLE])
        self.label_example_list = [
            {"label": label, "examples": found} for label, found in sorted(texts.items())
        ]


def _draw_rows(dataset: Any) -> list[dict[str, Any]]:
    """Random rows, without columns that hold no texts and may be slow to read."""
    drawn = random.sample(range(len(dataset)), k=min(_WIDGET_ROWS, len(dataset)))
    if getattr(dataset, "format", {}).get("type") == "custom":  # the columns are known from its rows only
        return list(dataset.select(drawn))
    names = [
        name
        for name, feature in dataset.features.items()
        if getattr(feature, "dtype", None) in ("string", "large_string")
    ]
    return list(dataset.select_columns(names).select(drawn)) if names else []


def _answer_of(texts: list[str]) -> str:
    """The text of a row that is shown beside others: the second, as the first may be one more question."""
    return texts[min(1, len(texts) - 1)]


def _texts_of(row: Mapping[str, Any]) -> list[str]:
    """The texts of a row that are no files; none of a row that lacks one."""
    texts = [value for name, value in row.items() if name != "dataset_name" and isinstance(value, str)]
    return [] if "" in texts else [text for text in texts if not is_media_file(text) and text.strip()]


def _language_on_hub(dataset_id: str) -> list[str]:
    from huggingface_hub import HfApi

    try:
        card = HfApi().dataset_info(dataset_id).card_data
    except OSError as error:  # not there, not allowed, or no connection
        logger.info("no language is known for the data set %s: %s", dataset_id, error)
        return []
    language = getattr(card, "language", None) or []
    return [language] if isinstance(language, str) else list(language)
