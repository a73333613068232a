"""Modules that only rerankers use, and the shared ones that a reranker is built from."""

from stlib.base.modules import Asym, Dense, InputModule, Module, Router, Transformer
from stlib.cross_encoder.modules.logit_score import LogitScore

__all__ = ["Asym", "Dense", "InputModule", "LogitScore", "Module", "Router", "Transformer"]
