"""Scores of queries and documents for losses, which hold the documents of a query together."""

from stlib.multi_vector_encoder.scoring.colbert import (
    colbert_kd_scores,
    colbert_scores,
    colbert_scores_pairwise,
    mean_colbert_kd_scores,
    mean_colbert_scores,
    mean_colbert_scores_pairwise,
)
from stlib.multi_vector_encoder.scoring.xtr import (
    XTRKDScores,
    XTRScores,
    xtr_kd_scores,
    xtr_scores,
    xtr_scores_pairwise,
)

__all__ = [
    "XTRKDScores",
    "XTRScores",
    "colbert_kd_scores",
    "colbert_scores",
    "colbert_scores_pairwise",
    "mean_colbert_kd_scores",
    "mean_colbert_scores",
    "mean_colbert_scores_pairwise",
    "xtr_kd_scores",
    "xtr_scores",
    "xtr_scores_pairwise",
]
