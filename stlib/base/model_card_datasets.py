"""What a model card says about data sets: names, sizes, the lengths of their texts, and a few examples."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)

# Rows that statistics are taken from, and examples that are shown.
_SAMPLE_ROWS = 1000
_EXAMPLES = 3
_LONGEST_EXAMPLE = 300  # characters

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
        return [{"name": dataset_name or getattr(info, "dataset_name", None) or "unnamed"}]

    def compute_dataset_metrics(
        self,
        dataset: Any,
        dataset_info: dict[str, Any],
        loss: Any,
        router_mapping: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Add size, columns, lengths, examples and the loss to an entry, and return it.

        Lengths of texts are in tokens of the model, or in characters if it has no tokenizer; they are those
        of the first thousand rows.
        """
        columns = list(dataset.column_names or [])
        rows = list(itertools.islice(iter(dataset), _SAMPLE_ROWS))
        dataset_info["columns"] = columns
        if hasattr(dataset, "__len__"):
            dataset_info["size"] = len(dataset)
        else:
            dataset_info.setdefault("size", len(rows))
        dataset_info["stats"] = {
            column: self._column_stats([row[column] for row in rows]) for column in columns
        }
        dataset_info["examples"] = [
            {column: _shown(row[column]) for column in columns} for row in rows[:_EXAMPLES]
        ]
        if loss is not None:
            dataset_info["loss"] = type(loss).__name__
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
        return self.validate_datasets(entries)

    def set_widget_examples(self, dataset: Any) -> None:
        """Take texts of the first rows for the hub's widget and for the example of the card."""
        if not self.generate_widget_examples:
            return
        sets = dataset.values() if isinstance(dataset, Mapping) else [dataset]
        texts: list[str] = []
        for one in sets:
            for row in itertools.islice(iter(one), _EXAMPLES):
                texts += [value for value in row.values() if isinstance(value, str) and value.strip()]
        texts = list(dict.fromkeys(text[:_LONGEST_EXAMPLE] for text in texts))
        if len(texts) < 2:
            return
        self.widget = [{"source_sentence": texts[0], "sentences": texts[1:4]}]
        self.usage_examples = texts[:3]

    def set_label_examples(self, dataset: Any) -> None:
        """Note up to three texts for each value of the column ``label``."""
        texts: dict[Any, list[str]] = {}
        for row in itertools.islice(iter(dataset), _SAMPLE_ROWS):
            label = row.get("label", row.get("labels"))
            text = next((value for value in row.values() if isinstance(value, str)), None)
            if label is not None and text is not None and len(texts.setdefault(label, [])) < _EXAMPLES:
                texts[label].append(text[:_LONGEST_EXAMPLE])
        self.label_example_list = [
            {"label": label, "examples": found} for label, found in sorted(texts.items())
        ]

    def _column_stats(self, values: list[Any]) -> dict[str, Any]:
        if values and all(isinstance(value, str) for value in values):
            tokenizer = getattr(self.model, "tokenizer", None)
            counted = tokenizer(values)["input_ids"] if callable(tokenizer) else values
            unit = "tokens" if callable(tokenizer) else "characters"
            return {"type": f"text, {unit}", **_spread([len(item) for item in counted])}
        if values and all(isinstance(value, (int, float)) for value in values):
            return {"type": type(values[0]).__name__, **_spread(values)}
        return {"type": type(values[0]).__name__ if values else "empty"}


def _spread(numbers: list[Any]) -> dict[str, Any]:
    return {"min": min(numbers), "mean": float(sum(numbers) / len(numbers)), "max": max(numbers)}


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_EXAMPLE else text[:_LONGEST_EXAMPLE] + "…"


def _language_on_hub(dataset_id: str) -> list[str]:
    from huggingface_hub import HfApi

    try:
        card = HfApi().dataset_info(dataset_id).card_data
    except OSError as error:  # not there, not allowed, or no connection
        logger.info("no language is known for the data set %s: %s", dataset_id, error)
        return []
    language = getattr(card, "language", None) or []
    return [language] if isinstance(language, str) else list(language)
