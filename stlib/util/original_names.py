"""Names of the first models of transformers, which had no owner yet."""

__all__ = ["ORIGINAL_TRANSFORMER_MODELS"]

ORIGINAL_TRANSFORMER_MODELS = [
    f"{family}-{name}"
    for family, names in {
        "albert": "base-v1 base-v2 large-v1 large-v2 xlarge-v1 xlarge-v2 xxlarge-v1 xxlarge-v2",
        "bert-base": "cased-finetuned-mrpc cased chinese german-cased german-dbmdz-cased "
        "german-dbmdz-uncased multilingual-cased multilingual-uncased uncased",
        "bert-large": "cased-whole-word-masking-finetuned-squad cased-whole-word-masking cased "
        "uncased-whole-word-masking-finetuned-squad uncased-whole-word-masking uncased",
        "camembert": "base",
    }.items()
    for name in names.split()
]
ORIGINAL_TRANSFORMER_MODELS += (
    "ctrl distilbert-base-cased-distilled-squad distilbert-base-cased distilbert-base-german-cased "
    "distilbert-base-multilingual-cased distilbert-base-uncased-distilled-squad "
    "distilbert-base-uncased-finetuned-sst-2-english distilbert-base-uncased distilgpt2 distilroberta-base "
    "gpt2-large gpt2-medium gpt2-xl gpt2 openai-gpt roberta-base-openai-detector roberta-base "
    "roberta-large-mnli roberta-large-openai-detector roberta-large t5-11b t5-3b t5-base t5-large t5-small "
    "transfo-xl-wt103 xlm-clm-ende-1024 xlm-clm-enfr-1024 xlm-mlm-100-1280 xlm-mlm-17-1280 xlm-mlm-en-2048 "
    "xlm-mlm-ende-1024 xlm-mlm-enfr-1024 xlm-mlm-enro-1024 xlm-mlm-tlm-xnli15-1024 xlm-mlm-xnli15-1024 "
    "xlm-roberta-base xlm-roberta-large-finetuned-conll02-dutch xlm-roberta-large-finetuned-conll02-spanish "
    "xlm-roberta-large-finetuned-conll03-english xlm-roberta-large-finetuned-conll03-german "
    "xlm-roberta-large xlnet-base-cased xlnet-large-cased"
).split()
