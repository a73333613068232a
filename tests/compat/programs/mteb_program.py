"""Tasks of MTEB whose data the package makes itself, for a bi-encoder and a reranker."""

import mteb
from mteb.mocks import (
    MockClassificationTask,
    MockClusteringTask,
    MockPairClassificationTask,
    MockRerankingTask,
    MockRetrievalTask,
    MockSTSTask,
)
from sentence_transformers import CrossEncoder, SentenceTransformer

TASKS = [
    MockSTSTask,
    MockRetrievalTask,
    MockRerankingTask,
    MockPairClassificationTask,
    MockClassificationTask,
    MockClusteringTask,
]


def run(model_folder, reranker_folder):
    model = SentenceTransformer(model_folder, device="cpu")
    reranker = CrossEncoder(reranker_folder, device="cpu")
    scores = {}
    for name, one, tasks in (("model", model, TASKS), ("reranker", reranker, [MockRerankingTask])):
        result = mteb.evaluate(
            one, [task() for task in tasks], cache=None, co2_tracker=False, show_progress_bar=False
        )
        for task in result.task_results:
            scores[f"{name} {task.task_name}"] = {
                split: [numbers(row) for row in rows] for split, rows in task.scores.items()
            }
    return {"scores": scores}


def numbers(row):
    return {key: value for key, value in row.items() if isinstance(value, float) and "time" not in key}
