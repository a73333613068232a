"""The stages of :func:`stlib.util.mine_hard_negatives`, in the order in which they run.

``options`` checks what was asked for, ``pairs`` reads the dataset, ``embeddings`` (with ``cache``) encodes
it, ``candidates`` searches, ``rescoring`` asks a cross-encoder, ``filters`` disqualifies, ``sampling``
chooses, ``output`` writes the rows and ``report`` says what happened.
"""
