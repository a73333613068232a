"""What passages have beside their vector: weighted terms to search by, vectors of tokens to rerank by.

Each is made by a model of its own (`models`), in the same transaction as the vectors' codes (`coders`), and
kept under the key of the passage in a table of its own. A generation says which it has: another model makes
another generation, whose vectors are taken over from the one before where their own model stays.
"""
