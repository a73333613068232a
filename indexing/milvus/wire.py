"""Messages to Milvus, made with the definitions that pymilvus brings, and what its answers say.

pymilvus' own client tries again for as long as its time-out allows, reconnects in between with a time-out of
its own, asks for schemas on the way, and logs every failure with a traceback: no single bound holds for all
of it. So requests are sent from here, over one channel, each with one deadline. They are those that pymilvus
would send, which the tests compare.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from indexing.errors import BadInput
from indexing.milvus.conditions import KEY_FIELD, PARAMETER, Condition
from indexing.milvus.schema import MARKER_KEY, MOST_NOTE, NOTE_FIELD, VECTOR_FIELD, Layout
from stlib.extras import PACKAGES
from stlib.util.forks import ThreadLock

__all__ = [
    "Consistency",
    "create_index_request",
    "create_request",
    "delete_request",
    "is_marker",
    "load_messages",
    "query_request",
    "read_column",
    "read_vectors",
    "rows_request",
    "search_request",
]

# Types of fields, and of the vectors of a search: numbers of Milvus' protocol.
_INT64, _VARCHAR = 5, 21
_VECTOR_TYPES = {"binary": 100, "float32": 101, "float16": 102, "int8": 105}
_VECTOR_SLOTS = {"binary": "binary_vector", "float16": "float16_vector", "int8": "int8_vector"}
_VALUES = {"binary": "u1", "float32": "<f4", "float16": "<f2", "int8": "i1"}
_EXPRESSION = 1  # that a filter is an expression

_loading = ThreadLock()
_messages: SimpleNamespace | None = None


class Consistency(NamedTuple):
    """How recent what is read has to be: a level of Milvus', and the moment of its clock that is seen."""

    level: int
    moment: int

    @classmethod
    def of(cls, name: str, written: int = 0) -> Consistency:
        """`written`: the moment at which the newest row that is counted on was written; 0 if it is unknown,
        and then `session` is `strong`.
        """
        if name == "bounded":
            return cls(2, 2)
        return cls(1, written) if name == "session" and written else cls(0, 0)


def load_messages() -> SimpleNamespace:
    """`grpc`, and pymilvus' modules `common`, `milvus`, `schema` and `stubs`.

    Loading pymilvus reads a file `.env` into the environment and gives its loggers handlers of their own:
    both are undone.

    Raises:
        BadInput: pymilvus is not installed.
    """
    global _messages
    with _loading:
        if _messages is None:
            before = dict(os.environ)
            try:
                _messages = _import_messages()
            except ModuleNotFoundError as error:
                wanted = " ".join(PACKAGES.get("milvus", ("pymilvus",)))
                raise BadInput(
                    f"the vector engine milvus needs the package {error.name}: pip install {wanted}"
                ) from error
            finally:
                _restore(before)
        return _messages


def _import_messages() -> SimpleNamespace:
    import grpc
    from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc, schema_pb2

    return SimpleNamespace(
        grpc=grpc, common=common_pb2, milvus=milvus_pb2, schema=schema_pb2, stubs=milvus_pb2_grpc
    )


def _restore(environment: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update({name: value for name, value in environment.items() if os.environ.get(name) != value})
    for name in ("pymilvus", "pymilvus.milvus_client", "pymilvus.bulk_writer"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


# --- a collection --------------------------------------------------------------------------------------


def create_request(name: str, layout: Layout) -> Any:
    """For a collection without rows."""
    messages = load_messages()
    field = messages.schema.FieldSchema
    fields = [
        field(name=KEY_FIELD, data_type=_INT64, is_primary_key=True),
        field(
            name=VECTOR_FIELD,
            data_type=_VECTOR_TYPES[layout.kind],
            type_params=_pairs({"dim": layout.dimension}),
        ),
        field(name=NOTE_FIELD, data_type=_VARCHAR, type_params=_pairs({"max_length": MOST_NOTE})),
    ]
    schema = messages.schema.CollectionSchema(name=name, fields=fields)
    properties = {"mmap.enabled": "true"} if layout.mmap else {}
    return messages.milvus.CreateCollectionRequest(
        collection_name=name,
        schema=schema.SerializeToString(),
        shards_num=layout.shards,
        consistency_level=0,
        properties=_pairs(properties),
    )


def create_index_request(name: str, layout: Layout) -> Any:
    """For the index over the vectors."""
    given = {
        "index_type": layout.index_type,
        "metric_type": layout.metric,
        **layout.index_parameters,
    }
    return load_messages().milvus.CreateIndexRequest(
        collection_name=name, field_name=VECTOR_FIELD, index_name=VECTOR_FIELD, extra_params=_pairs(given)
    )


# --- rows ----------------------------------------------------------------------------------------------


def rows_request(name: str, layout: Layout, keys: np.ndarray, values: np.ndarray, note: str = "") -> Any:
    """That puts rows in place of those of the same keys: `keys` int64 [n], `values` as
    `Layout.values` gives them.
    """
    messages = load_messages()
    notes = messages.schema.ScalarField(string_data=messages.schema.StringArray(data=[note] * len(keys)))
    return messages.milvus.UpsertRequest(
        collection_name=name,
        num_rows=len(keys),
        fields_data=[
            _number_column(KEY_FIELD, keys),
            messages.schema.FieldData(
                field_name=VECTOR_FIELD,
                type=_VECTOR_TYPES[layout.kind],
                vectors=_vector_column(layout, values),
            ),
            messages.schema.FieldData(field_name=NOTE_FIELD, type=_VARCHAR, scalars=notes),
        ],
    )


def _number_column(name: str, numbers: np.ndarray) -> Any:
    schema = load_messages().schema
    numbers = schema.ScalarField(long_data=schema.LongArray(data=numbers.tolist()))
    return schema.FieldData(field_name=name, type=_INT64, scalars=numbers)


def _vector_column(layout: Layout, values: np.ndarray) -> Any:
    schema = load_messages().schema
    data = np.ascontiguousarray(values).tobytes()
    if layout.kind == "float32":
        return schema.VectorField(dim=layout.dimension, float_vector=_floats(schema, data))
    return schema.VectorField(dim=layout.dimension, **{_VECTOR_SLOTS[layout.kind]: data})


def _floats(schema: Any, data: bytes) -> Any:
    """Its one field, number 1, is the packed floats: to read them so is fifty times as fast as one by one."""
    length, head = len(data), bytearray(b"\x0a")
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return schema.FloatArray.FromString(bytes(head) + data)


def delete_request(name: str, condition: Condition, *, spelt_out: bool) -> Any:
    """For the rows of a condition."""
    said = _said("expr", condition, spelt_out)
    return load_messages().milvus.DeleteRequest(collection_name=name, consistency_level=0, **said)


# --- asking --------------------------------------------------------------------------------------------


def search_request(
    name: str,
    layout: Layout,
    query: np.ndarray,
    count: int,
    condition: Condition | None,
    consistency: Consistency,
    *,
    spelt_out: bool,
) -> Any:
    """For the `count` rows nearest to `query` (float32 [d]); `spelt_out`: numbers stand in the expression."""
    messages = load_messages()
    placeholder = messages.common.PlaceholderValue(
        tag="$0", type=_VECTOR_TYPES[layout.kind], values=[layout.query_value(query)]
    )
    group = messages.common.PlaceholderGroup(placeholders=[placeholder])
    given = {
        "topk": count,
        "round_decimal": -1,
        "ignore_growing": False,
        "metric_type": layout.metric,
        "anns_field": VECTOR_FIELD,
        "params": json.dumps({**layout.search_parameters(count), "metric_type": layout.metric}),
    }
    return messages.milvus.SearchRequest(
        collection_name=name,
        placeholder_group=group.SerializeToString(),
        nq=1,
        dsl_type=_EXPRESSION,
        search_params=_pairs(given),
        consistency_level=consistency.level,
        guarantee_timestamp=consistency.moment,
        use_default_consistency=False,
        **_said("dsl", condition, spelt_out),
    )


def query_request(
    name: str,
    condition: Condition | str,
    fields: Iterable[str],
    consistency: Consistency,
    *,
    spelt_out: bool,
    page: int = 0,
) -> Any:
    """For the rows of a condition, or of an expression; the first `page` by their keys where it is given."""
    messages = load_messages()
    said = {"expr": condition} if isinstance(condition, str) else _said("expr", condition, spelt_out)
    given: dict[str, object] = {"ignore_growing": False, "reduce_stop_for_best": False}
    if page:
        given = {"limit": page, "iterator": True, "ignore_growing": False, "reduce_stop_for_best": True}
    return messages.milvus.QueryRequest(
        collection_name=name,
        output_fields=list(fields),
        query_params=_pairs(given),
        consistency_level=consistency.level,
        guarantee_timestamp=consistency.moment,
        use_default_consistency=False,
        **said,
    )


def _said(name: str, condition: Condition | None, spelt_out: bool) -> dict[str, Any]:
    """The condition as arguments of a message whose expression is the field `name`."""
    if condition is None:
        return {}
    if spelt_out:
        return {name: condition.literal()}
    schema = load_messages().schema
    numbers = schema.TemplateArrayValue(long_data=schema.LongArray(data=condition.numbers.tolist()))
    value = schema.TemplateValue(array_val=numbers)
    return {name: condition.template(), "expr_template_values": {PARAMETER: value}}


def _pairs(values: Mapping[str, object]) -> list[Any]:
    pair = load_messages().common.KeyValuePair
    return [pair(key=key, value=str(value)) for key, value in values.items()]


# --- answers -------------------------------------------------------------------------------------------


def read_column(answer: Any, name: str) -> np.ndarray:
    """Whole numbers of a field, int64 [n], or texts."""
    for field in answer.fields_data:
        if field.field_name == name:
            if field.scalars.WhichOneof("data") == "string_data":
                return np.array(list(field.scalars.string_data.data), object)
            return np.array(field.scalars.long_data.data, np.int64)
    return np.empty(0, np.int64)


def read_vectors(answer: Any, layout: Layout) -> np.ndarray:
    """The vectors of rows, as `Layout.values` gives them."""
    width = layout.dimension // 8 if layout.kind == "binary" else layout.dimension
    for field in answer.fields_data:
        if field.field_name == VECTOR_FIELD:
            if layout.kind == "float32":
                return np.array(field.vectors.float_vector.data, "<f4").reshape(-1, width)
            data = getattr(field.vectors, _VECTOR_SLOTS[layout.kind])
            return np.frombuffer(data, _VALUES[layout.kind]).reshape(-1, width)
    return np.empty((0, width), _VALUES[layout.kind])


def is_marker(keys: np.ndarray) -> np.ndarray:
    return keys == MARKER_KEY
