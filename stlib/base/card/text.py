"""The Markdown of a model card: only sections about which there is something to say."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stlib.base.model_card import BaseModelCardData


def card_text(data: BaseModelCardData) -> str:
    """Front matter and sections."""
    facts = data.to_dict()
    sections = [
        f"---\n{data.to_yaml()}\n---",
        f"# {facts['model_name']}",
        _introduction(facts),
        _facts_table(facts),
        f"## Usage\n\n```python\n{data.generate_usage_snippet().strip()}\n```",
        _architecture(data),
        _evaluation(facts),
        _training(data, facts),
        _citations(facts),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def table(columns: list[str], rows: list[list[Any]], bold: list[bool] | None = None) -> str:
    """A Markdown table; floats have four decimals, rows marked in ``bold`` are bold."""

    def line(cells: list[str]) -> str:
        return f"| {' | '.join(cells)} |"

    lines = [line(columns), line(["---"] * len(columns))]
    for index, row in enumerate(rows):
        cells = [_cell(value) for value in row]
        lines.append(line([f"**{cell}**" for cell in cells] if bold and bold[index] else cells))
    return "\n".join(lines)


def rename_in_example(card: str, model_id: str | None) -> str:
    """Let the example of a card load ``model_id`` if it names a folder or a placeholder, no id, so far."""
    if model_id is None:
        return card
    return re.sub(r'^(model = \w+\(")[^"/]*(")', rf"\g<1>{model_id}\g<2>", card, flags=re.MULTILINE)


def _cell(value: Any) -> str:
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _introduction(facts: dict[str, Any]) -> str:
    dimension, base = facts.get("output_dimensionality"), facts["base_model"]
    made_from = f", made from [{base}](https://huggingface.co/{base})" if base else ""
    kind = facts.get("summary") or "This model scores its inputs"
    width = f" of {dimension} dimensions" if dimension else ""
    purpose = f" It is meant for {facts['task_name']}." if facts["task_name"] else ""
    return f"{kind}{width}{made_from}.{purpose}"


def _facts_table(facts: dict[str, Any]) -> str:
    known = {
        "Vector": facts.get("output_dimensionality") and f"{facts['output_dimensionality']} dimensions",
        "Similarity": facts.get("similarity_fn_name"),
        "Longest input": facts.get("model_max_length") and f"{facts['model_max_length']} tokens",
        "Queries": facts.get("query_length") and f"{facts['query_length']} tokens",
        "Documents": facts.get("document_length") and f"{facts['document_length']} tokens",
        "Inputs": facts.get("modalities"),
        "Prompts": facts.get("prompts"),
        "Language": ", ".join(facts["language"]),
        "License": facts["license"],
        "Base model": _base_model(facts),
    }
    rows = [[name, value] for name, value in known.items() if value]
    return table(["", ""], rows) if rows else ""


def _base_model(facts: dict[str, Any]) -> str | None:
    base, revision = facts["base_model"], facts["base_model_revision"]
    return f"{base} at the revision {revision}" if base and revision else base


def _architecture(data: BaseModelCardData) -> str:
    return f"## Modules\n\n```\n{data.model}\n```" if data.model is not None else ""


def _evaluation(facts: dict[str, Any]) -> str:
    parts = []
    for entry in facts["eval_metrics"]:
        rows = [[name, float(value)] for name, value in entry["metrics"].items()]
        bold = [name == entry["primary_metric"] for name in entry["metrics"]]
        title = f"### {entry['name'] or entry['class_name']}"
        arguments = f" with\n\n{_json(entry['config'])}" if entry["config"] else "."
        measured = f"{entry['description']}, measured by `{entry['class_name']}`{arguments}"
        parts.append(f"{title}\n\n{measured}\n\n{table(['Metric', 'Value'], rows, bold)}")
    return "## Evaluation\n\n" + "\n\n".join(parts) if parts else ""


def _training(data: BaseModelCardData, facts: dict[str, Any]) -> str:
    parts = [_dataset(entry, "Training data") for entry in facts["train_datasets"]]
    parts += [_dataset(entry, "Evaluation data") for entry in facts["eval_datasets"]]
    if facts["non_default_hyperparameters"]:
        parts.append(f"### Settings\n\n{_settings(facts['non_default_hyperparameters'])}")
    if facts["all_hyperparameters"]:
        listed = _settings(facts["all_hyperparameters"])
        parts.append(f"<details><summary>All settings</summary>\n\n{listed}\n\n</details>")
    if logs := data.format_training_logs():
        saved = "\n\nThe row in bold is the state that was kept." if "**" in logs else ""
        parts.append(f"### Log\n\n{logs}{saved}")
    if duration := facts.get("training_duration"):
        evaluation = facts.get("evaluation_duration")
        part = f", of which evaluation {evaluation}" if evaluation else ""
        parts.append(f"Training took {duration}{part}.")
    if facts["versions"]:
        versions = [[package, version] for package, version in facts["versions"].items()]
        parts.append(f"### Versions\n\n{table(['Package', 'Version'], versions)}")
    return "## Training\n\n" + "\n\n".join(parts) if parts else ""


def _dataset(entry: dict[str, Any], kind: str) -> str:
    name = entry.get("name") or entry.get("id") or "unnamed"
    title = f"[{name}](https://huggingface.co/datasets/{entry['id']})" if "id" in entry else name
    lines = [f"### {kind}: {title}"]
    if "size" in entry:
        lines.append(
            f"{entry['size']:,} rows with the columns {', '.join(f'`{c}`' for c in entry['columns'])}."
        )
    if entry.get("stats"):
        lines.append(f"Of the first {min(entry['size'], 100)} rows:\n\n{_statistics(entry['stats'])}")
    if entry.get("examples"):
        columns = list(entry["examples"][0])
        lines.append(
            "Examples:\n\n" + table(columns, [[row[c] for c in columns] for row in entry["examples"]])
        )
    if loss := entry.get("loss"):
        arguments = f" with\n\n{_json(loss['config'])}" if loss.get("config") else ""
        lines.append(f"Loss: `{loss['name']}`{arguments}")
    return "\n\n".join(lines)


def _statistics(stats: dict[str, dict[str, Any]]) -> str:
    rows = []
    for kind in ("type", "min", "mean", "max", "values"):
        if any(kind in column for column in stats.values()):
            cells = [column.get(kind, "-") for column in stats.values()]
            rows.append([kind, *(_shares(cell) if kind == "values" else cell for cell in cells)])
    return table(["", *stats], rows)


def _shares(shares: Any) -> str:
    if not isinstance(shares, dict):
        return str(shares)
    return ", ".join(f"{value}: {share:.1%}" for value, share in shares.items())


def _settings(settings: dict[str, Any]) -> str:
    return table(["Setting", "Value"], [[f"`{name}`", str(value)] for name, value in settings.items()])


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False, default=str)}\n```"


def _citations(facts: dict[str, Any]) -> str:
    parts = [f"### {name}\n\n```bibtex\n{text.strip()}\n```" for name, text in facts["citations"].items()]
    return "## Citations\n\n" + "\n\n".join(parts) if parts else ""
