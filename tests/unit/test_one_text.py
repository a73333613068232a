"""One text where a list belongs is refused by the argument's name, and never read letter by letter."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from stlib import (
    CrossEncoder,
    InputExample,
    SentenceTransformer,
    SentenceTransformerModelCardData,
    models,
    util,
)
from stlib import datasets as our_datasets
from stlib import evaluation as ours
from stlib import losses as our_losses
from stlib.base.sampler import NoDuplicatesBatchSampler
from stlib.cross_encoder import evaluation as of_pairs
from stlib.errors import InvalidInput
from stlib.models import tokenizer as tokenizers
from stlib.quantization import quantize_embeddings
from stlib.sentence_transformer import SentenceTransformerDataCollator

TEXT = "bread rises"
LIST = ["bread rises", "iron rusts", "sort a list"]
ROWS = Dataset.from_dict({"question": LIST, "answer": LIST[::-1]})
IDS = {"a": "bread", "b": "iron"}


@pytest.fixture(scope="module")
def m(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz"]
    BertTokenizerFast(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    static = SentenceTransformer("stlib-static-en", device="cpu")
    pairs = CrossEncoder(str(folder), device="cpu")
    return SimpleNamespace(static=static, pairs=pairs, vectors=static.encode(LIST))


CALLS = {
    # of models
    "inputs: stream": lambda m: next(m.static.encode_stream(TEXT)),
    "inputs: preprocess": lambda m: m.static.preprocess(TEXT),
    "inputs: tokenize": lambda m: m.static.tokenize(TEXT),
    "inputs: first module": lambda m: m.static[0].preprocess(TEXT),
    "inputs: pairs": lambda m: m.pairs.preprocess(TEXT),
    "inputs: transformer": lambda m: m.pairs[0].preprocess(TEXT),
    "target_devices": lambda m: m.static.start_multi_process_pool("cpu"),
    "modules": lambda m: SentenceTransformer(modules=TEXT),
    "keep_in_fp32_modules": lambda m: m.pairs.set_keep_in_fp32_modules("classifier"),
    "documents": lambda m: m.pairs.rank(TEXT, TEXT),
    # of embeddings
    "sentences: paraphrases": lambda m: util.paraphrase_mining(m.static, TEXT),
    "embeddings: pairs": lambda m: util.paraphrase_mining_embeddings(TEXT),
    "embeddings: groups": lambda m: util.community_detection(TEXT),
    "query_embeddings": lambda m: util.semantic_search(TEXT, m.vectors),
    "corpus_embeddings": lambda m: util.semantic_search(m.vectors, ""),
    "embeddings: cosine": lambda m: util.cos_sim(TEXT, m.vectors),
    "embeddings: texts": lambda m: m.static.similarity(m.vectors, LIST),
    "embeddings: codes": lambda m: quantize_embeddings(TEXT, "binary"),
    # mining
    "corpus": lambda m: util.mine_hard_negatives(ROWS, m.static, corpus=TEXT, verbose=False),
    "use_multi_process": lambda m: util.mine_hard_negatives(ROWS, m.static, use_multi_process="cpu"),
    "dataset": lambda m: util.mine_hard_negatives(TEXT, m.static),
    "keep_columns": lambda m: util.resolve_ids(ROWS, keep_columns="question"),
    # evaluators
    "sentences1": lambda m: ours.EmbeddingSimilarityEvaluator(TEXT, LIST, [1.0] * 11),
    "sentences2": lambda m: ours.BinaryClassificationEvaluator([TEXT] * 11, TEXT, [1] * 11),
    "scores": lambda m: ours.EmbeddingSimilarityEvaluator(LIST, LIST, "123"),
    "anchors": lambda m: ours.TripletEvaluator(TEXT, TEXT, TEXT),
    "source_sentences: translation": lambda m: ours.TranslationEvaluator(TEXT, TEXT),
    "source_sentences: error": lambda m: ours.MSEEvaluator(TEXT, TEXT, teacher_model=m.static),
    "dataframe": lambda m: ours.MSEEvaluatorFromDataFrame(TEXT, m.static, [("en", "de")]),
    "combination": lambda m: ours.MSEEvaluatorFromDataFrame([], m.static, ["ab"]),
    "sentences_map": lambda m: ours.ParaphraseMiningEvaluator(TEXT),
    "duplicate": lambda m: ours.ParaphraseMiningEvaluator(IDS, ["ab"]),
    "queries": lambda m: ours.InformationRetrievalEvaluator(TEXT, IDS, {}),
    "relevant_docs": lambda m: ours.InformationRetrievalEvaluator({"q": TEXT}, IDS, {"q": "ab"}),
    "samples: bi": lambda m: ours.RerankingEvaluator(TEXT),
    "samples: cross": lambda m: of_pairs.CrossEncoderRerankingEvaluator(TEXT),
    "sentence_pairs: classes": lambda m: of_pairs.CrossEncoderClassificationEvaluator(TEXT, [1] * 11),
    "sentence_pairs: scores": lambda m: of_pairs.CrossEncoderCorrelationEvaluator(TEXT, [1] * 11),
    "evaluators": lambda m: ours.SequentialEvaluator(TEXT),
    "dataset_names": lambda m: ours.NanoBEIREvaluator(dataset_names="msmarco"),
    # training
    "texts": lambda m: InputExample(texts=TEXT),
    "sentences: noise": lambda m: our_datasets.DenoisingAutoEncoderDataset(TEXT, noise_fn=str),
    "sentences: tension": lambda m: our_losses.ContrastiveTensionDataLoader(TEXT, 4, pos_neg_ratio=2),
    "matryoshka_dims": lambda m: our_losses.MatryoshkaLoss(m.static, our_losses.CoSENTLoss(m.static), "64"),
    "valid_label_columns: rows": lambda m: SentenceTransformerDataCollator(str, valid_label_columns="label"),
    "valid_label_columns: batches": lambda m: NoDuplicatesBatchSampler(ROWS, 2, False, "label"),
    "train_datasets": lambda m: SentenceTransformerModelCardData(train_datasets="owner/name"),
    "names": lambda m: m.static.model_card_data.add_train_datasets("owner/name"),
    # words
    "vocab: bags": lambda m: models.BoW(TEXT),
    "vocab: weights": lambda m: models.WordWeights(TEXT, {}),
    "vocab: words": lambda m: tokenizers.WhitespaceTokenizer(TEXT),
    "stop_words": lambda m: tokenizers.WhitespaceTokenizer(["bread"], stop_words="the"),
    "vocabulary": lambda m: models.StaticEmbedding.from_distillation(m.static, vocabulary=TEXT),
}


@pytest.mark.parametrize("call", CALLS)
def test_one_text_is_no_list(m, call):
    name = "sample 0" if call.startswith("samples") else call.partition(":")[0]
    with pytest.raises((InvalidInput, ValueError, TypeError), match=name) as caught:
        CALLS[call](m)
    said = str(caught.value)
    assert any(word in said for word in ("list", "dict", "a set", "Dataset", "encode it first", "it has b"))


def test_a_tag_is_one(m):
    assert SentenceTransformerModelCardData(tags="mine", language="de").tags == ["mine"]


def test_one_document_beside_others_stays_allowed(m):
    """As documented, and as in the reference: samples to rerank may hold a single positive and negative."""
    one, several = (
        ours.RerankingEvaluator([{"query": TEXT, "positive": p, "negative": n}], write_csv=False)(m.static)
        for p, n in ((LIST[0], LIST[1]), (LIST[:1], LIST[1:2]))
    )
    assert one == several


def test_lists_of_all_kinds_are_taken(m):
    expected = util.paraphrase_mining(m.static, LIST)
    for texts in (tuple(LIST), np.array(LIST), ROWS["question"]):
        assert util.paraphrase_mining(m.static, texts) == expected
