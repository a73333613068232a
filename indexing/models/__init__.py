"""Encoders and rerankers by folder, name or object."""
