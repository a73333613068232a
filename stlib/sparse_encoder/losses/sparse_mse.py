"""Mean squared error against a teacher's sparse embeddings."""

from __future__ import annotations

from typing import Any

from stlib.sentence_transformer.losses.mse import MSELoss


class SparseMSELoss(MSELoss):
    """:class:`~stlib.losses.MSELoss` of sparse embeddings. It may be used by itself: a teacher's zeros keep
    the student's embeddings sparse.

    Args:
        model: the student; teacher and student share a vocabulary.

    Inputs:
        +---------------------------+-------------------------------------------------------------------+
        | Inputs                    | Labels                                                            |
        +===========================+===================================================================+
        | input                     | embedding ``[d]``                                                 |
        +---------------------------+-------------------------------------------------------------------+
        | input_1, ..., input_N     | one embedding per input ``[N, d]``                                |
        +---------------------------+-------------------------------------------------------------------+
        | input_1, ..., input_N     | embedding ``[d]``, the aim of every input, e.g. of translations   |
        +---------------------------+-------------------------------------------------------------------+

    Example:
        ::

            embeddings = teacher.encode(texts, convert_to_sparse_tensor=False)
            data = Dataset.from_dict({"text": texts, "label": embeddings.tolist()})
            loss = losses.SparseMSELoss(student)

    Raises:
        InvalidInput: no labels, or labels of another shape than those above.
    """

    def __init__(self, model: Any) -> None:
        super().__init__(model)
