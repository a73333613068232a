"""Short programs, each showing one way to train or use embedding models: ``python -m stlib.recipes.NAME
--help``.

They are meant to be read and changed. Each takes local files or folders (or the id of a dataset on the hub)
and a model, prints its metric before and after where it is given something to evaluate on, and saves the
model. What they share (options, reading, evaluating) stands in the modules whose names begin with ``_``.

Using a model
    ``kmeans``, ``agglomerative``, ``fast_clustering``, ``topics``, ``paraphrase_mining``,
    ``parallel_mining``, ``quantized_search``, ``image_search``
Training with labels or pairs
    ``sts``, ``nli``, ``paraphrases``, ``quora_duplicates``, ``msmarco``, ``prompts``, ``lora``,
    ``hyperparameter_search``, ``static_model``, ``router``
Smaller and more flexible models
    ``matryoshka``, ``adaptive_layers``, ``distillation``, ``multilingual``
Sparse models
    ``splade``, ``inference_free``, ``csr``, ``sparse_distillation``
Late interaction
    ``late_interaction``
Rerankers
    ``cross_encoder_msmarco``, ``cross_encoder_distillation``, ``cross_encoder_sts``, ``cross_encoder_nli``
Training without labels
    ``mlm``, ``adaptive_pretraining``, ``tsdae``, ``simcse``, ``ct``, ``gpl``, ``augmented_sbert``
"""
