"""Bulk loads by Ray Data: reading, cutting, embedding and quantising on many processes or machines.

    numbers of shards ▸ read (tasks) ▸ ask what changed, embed, quantise, store (a pool of actors) ▸ reports

Ray moves plain rows (`indexing.bulk.pieces`), and the catalog alone decides what is stored: a worker, the
writer or the driver may die at any moment, and whatever they had not committed is done again, once.
"""
