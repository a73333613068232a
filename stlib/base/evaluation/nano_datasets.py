"""Names of the datasets of NanoBEIR, and of those in folders in BEIR's layout."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from stlib.base.evaluation.beir import beir_folders
from stlib.errors import InvalidInput, InvalidOption

NANO_BEIR_EN = "sentence-transformers/NanoBEIR-en"

# Names of the datasets in lower case, and as they are written.
DATASET_NAME_TO_HUMAN_READABLE = {
    name.lower(): name
    for name in (
        "ClimateFEVER",
        "DBPedia",
        "FEVER",
        "FiQA2018",
        "HotpotQA",
        "MSMARCO",
        "NFCorpus",
        "NQ",
        "QuoraRetrieval",
        "SCIDOCS",
        "ArguAna",
        "SciFact",
        "Touche2020",
    )
}

DatasetNameType: TypeAlias = Literal[
    "climatefever",
    "dbpedia",
    "fever",
    "fiqa2018",
    "hotpotqa",
    "msmarco",
    "nfcorpus",
    "nq",
    "quoraretrieval",
    "scidocs",
    "arguana",
    "scifact",
    "touche2020",
]


def local_folders(dataset_id: Any) -> dict[str, Path] | None:
    """Folders in BEIR's layout by name; None if the dataset is not of that kind.

    Raises:
        InvalidInput: ``dataset_id`` can only be a folder, and there is none.
    """
    if isinstance(dataset_id, Mapping):
        return {name: Path(folder) for name, folder in dataset_id.items()}
    if _is_path(dataset_id) and not Path(dataset_id).is_dir():
        raise InvalidInput(
            f"there is no folder {dataset_id}; give a folder with datasets in BEIR's layout, or the name of "
            "a dataset on the hub"
        )
    return beir_folders(dataset_id) or None


def _is_path(dataset_id: Any) -> bool:
    """Whether this is neither a name on the hub, which is ``name`` or ``owner/name``, nor an address."""
    if isinstance(dataset_id, os.PathLike):
        return True
    name = str(dataset_id)
    return "://" not in name and (name.startswith((".", "/", "~")) or name.count("/") > 1)


def check_names(names: Sequence[str] | None, folders: Mapping[str, Path] | None) -> list[str]:
    """The names as given, or of all datasets; ``folders`` are those of :func:`local_folders`.

    Raises:
        InvalidOption: a name is unknown, or there is none.
    """
    if names is None:
        return list(DATASET_NAME_TO_HUMAN_READABLE) if folders is None else list(folders)
    if isinstance(names, str):
        raise InvalidOption(f"dataset_names is the text {names!r}; use a list, such as [{names!r}]")
    if not len(names):
        raise InvalidOption("dataset_names is empty; use None for all datasets")
    if folders is None:
        unknown = [name for name in names if name.lower() not in DATASET_NAME_TO_HUMAN_READABLE]
        there = list(DATASET_NAME_TO_HUMAN_READABLE)
    else:
        unknown = [name for name in names if match_name(name, folders) not in folders]
        there = list(folders)
    if unknown:
        raise InvalidOption(f"there is no dataset {', '.join(unknown)}; there are: {', '.join(there)}")
    return list(names)


def match_name(name: str, folders: Mapping[str, Path]) -> str:
    """The key that is meant: written in another case, or with ``Nano`` in front."""
    if name in folders:
        return name
    lower = {key.lower(): key for key in folders}
    return lower.get(name.lower(), lower.get(f"nano{name.lower()}", name))
