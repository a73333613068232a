"""Training of rerankers and models on judgments: what needs torch, and minutes rather than seconds.

reading     what a reranker reads of each judged question, and what an order is worth
interaction the bundled reranker's small network
pairs       cross-encoders
bi_encoder  the model that embeds
needs       what training needs beside the base installation, by name
candidates  from what was trained to a serving
"""
