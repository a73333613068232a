"""Types of a transformer's settings, for annotations."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict

__all__ = ["ModalityConfig", "ModalityParams", "ProcessingKwargs", "QueryExpansionConfig", "TransformerTask"]

TransformerTask: TypeAlias = Literal[
    "feature-extraction", "sequence-classification", "text-generation", "any-to-any", "fill-mask", "retrieval"
]


class _Method(TypedDict):
    method: str
    method_output_name: str | None


class ModalityParams(_Method, total=False):
    """How a transformer serves a kind of input: its method, the output that is read, the form of messages."""

    format: Literal["structured", "flat"]


ModalityConfig: TypeAlias = dict[str | tuple[str, ...], ModalityParams]


class ProcessingKwargs(TypedDict, total=False):
    """Keywords per call of a processor, by the group of inputs they are for."""

    common: dict[str, Any]
    text: dict[str, Any]
    audio: dict[str, Any]
    image: dict[str, Any]
    video: dict[str, Any]
    chat_template: dict[str, Any]


class _Expansion(TypedDict):
    strategy: Literal["fixed", "min"]


class QueryExpansionConfig(_Expansion, total=False):
    """How queries are filled up; see :func:`~stlib.base.transformer.queries.check_expansion`."""

    attend: bool
    token: str | None
    length: int
