"""What a tool is: a name, what it takes and gives, what it may do, and the function that does it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mcp_types import Tool as Described
from mcp_types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.json_schema import JsonSchemaMode

from app.mcp.asked import Asked
from indexing.errors import BadInput
from stlib.util.forks import cached_property

__all__ = ["Answer", "Arguments", "Tool"]


class Arguments(BaseModel):
    """What a tool takes. Names that it does not know are refused: a model that invents one should hear so."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """What a tool gives."""


@dataclass(frozen=True)
class Tool:
    """A tool.

    Attributes:
        runs: `module:function`, which takes what was asked and the arguments.
        right: of `app.facade.caller.ALL_RIGHTS`; whoever lacks it does not see the tool.
        reads: it changes nothing.
        destroys: what it changes, or deletes, does not come back.
        repeats: a second call with the same arguments changes nothing more.
    """

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    answer: type[Answer]
    runs: str
    right: str = "search"
    reads: bool = True
    destroys: bool = False
    repeats: bool = True

    @cached_property
    def described(self) -> Described:
        """As clients see it."""
        return Described(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=_schema(self.arguments, "validation"),
            output_schema=_schema(self.answer, "serialization"),
            annotations=ToolAnnotations(
                title=self.title,
                read_only_hint=self.reads,
                destructive_hint=self.destroys,
                idempotent_hint=self.repeats,
                open_world_hint=False,
            ),
        )

    def call(self, asked: Asked, given: dict[str, Any]) -> Answer:
        """
        Raises:
            BadInput: the arguments are not what the tool takes.
            IndexingError: as the facade.
        """
        try:
            arguments = self.arguments.model_validate(given)
        except ValidationError as error:
            raise BadInput(f"{self.name}: {_in_words(error, self.arguments)}") from error
        module, _, function = self.runs.partition(":")
        answer: Answer = getattr(import_module(module), function)(asked, arguments)
        return answer


def _schema(model: type[BaseModel], mode: JsonSchemaMode) -> dict[str, Any]:
    """Without the titles that pydantic makes of names: a client gives all of it to its model, each time."""

    def without_titles(part: Any) -> Any:
        if isinstance(part, list):
            return [without_titles(one) for one in part]
        if not isinstance(part, dict):
            return part
        return {
            name: {field: without_titles(one) for field, one in value.items()}
            if name in ("properties", "$defs")
            else without_titles(value)
            for name, value in part.items()
            if not (name == "title" and isinstance(value, str))
        }

    schema: dict[str, Any] = without_titles(model.model_json_schema(mode=mode))
    return schema


def _in_words(error: ValidationError, arguments: type[Arguments]) -> str:
    """What is wrong with each argument, and which there are where one is unknown."""
    said = []
    for one in error.errors(include_url=False, include_context=False):
        name = ".".join(map(str, one["loc"])) or "arguments"
        if one["type"] == "extra_forbidden":
            said.append(f"there is no {name[:64]!r}; it takes {', '.join(arguments.model_fields)}")
        elif one["type"] == "missing":
            said.append(f"{name} is missing")
        else:
            said.append(f"{name[:64]} = {str(one['input'])[:80]!r}: {_lower_first(one['msg'])}")
    return "; ".join(said[:5])


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
