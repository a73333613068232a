"""Reproduce a teacher's scores."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from stlib.cross_encoder.losses.pairs import ScoredPairsLoss


class MSELoss(ScoredPairsLoss):
    """Mean squared difference of the score of each pair and the score that it should have.

    The scores to reach are those of a larger reranker, or of people. Mind their scale: if the teacher's went
    through a sigmoid, let those of the student do so too, by ``activation_fn``.

    Args:
        model: the model to train, the student; it has one output label.
        activation_fn: applied to the logits first.
        kwargs: further keywords of :class:`torch.nn.MSELoss`.

    Raises:
        InvalidOption: the model is no ``CrossEncoder``, or has several labels.
        InvalidInput: when called with other columns, or without one label for each pair.

    References:
        - Hofstätter et al., "Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
          Distillation", arXiv:2010.02666

    Inputs:
        ==============  ========================  ====================
        Columns         Labels                    Labels of the model
        ==============  ========================  ====================
        (text, text)    the score to reach        1
        ==============  ========================  ====================

    Relations:
        - :class:`MarginMSELoss` reaches differences of two scores, and leaves their level free.

    Example::

        student = CrossEncoder("microsoft/MiniLM-L12-H384-uncased", num_labels=1)
        teacher = CrossEncoder("cross-encoder/ms-marco-MiniLM-L12-v2", activation_fn=torch.nn.Identity())
        train_dataset = Dataset.from_dict({
            "query": ["How do I sort a list?", "Who wrote Faust?"],
            "answer": ["sorted() returns a sorted list.", "Goethe wrote Faust."],
        })
        train_dataset = train_dataset.map(
            lambda rows: {"label": teacher.predict(list(zip(rows["query"], rows["answer"])))}, batched=True
        )
        loss = losses.MSELoss(student)
        CrossEncoderTrainer(model=student, train_dataset=train_dataset, loss=loss).train()
    """

    labels_are = "the score to reach"

    def __init__(
        self,
        model: Any,
        activation_fn: nn.Module = nn.Identity(),  # noqa: B008 - without state
        **kwargs: Any,
    ) -> None:
        super().__init__(model, activation_fn)
        self.loss_fct = nn.MSELoss(**kwargs)

    def forward(
        self,
        inputs: list[Any],
        labels: Tensor | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """The loss of two columns of n texts, and scores to reach ``[n]``."""
        scores, aims = self.scores_and_labels(inputs, labels, prompt, task)
        return self.loss_fct(scores, aims.detach())
