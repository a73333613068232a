"""Which transformers models run without padding: their layers taken apart, and whether they are as built."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

# Where transformers' hooks that record hidden states come from.
_IDLE_HOOKS = "transformers.utils.output_capturing"


@dataclass(frozen=True)
class LayerParts:
    """The parts of one layer, under whatever names a family has for them."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    out: nn.Linear
    attention_norm: nn.LayerNorm
    up: nn.Linear
    activation: Callable[..., Any]
    down: nn.Linear
    output_norm: nn.LayerNorm

    def linears(self) -> tuple[nn.Linear, ...]:
        """The linear layers, attention first."""
        return self.query, self.key, self.value, self.out, self.up, self.down

    def are_plain(self) -> bool:
        """Whether no part was exchanged for something else, as adapters and quantisation do."""
        norms = (self.attention_norm, self.output_norm)
        return all(type(part) is nn.Linear and part.bias is not None for part in self.linears()) and all(
            type(norm) is nn.LayerNorm and norm.weight is not None for norm in norms
        )


def is_known(model: Any) -> bool:
    """Whether a model's class is one of :data:`ARCHITECTURES` as transformers defines it."""
    cls = type(model)
    return cls.__name__ in ARCHITECTURES and cls.__module__.startswith("transformers.models.")


def layers_of(model: Any) -> list[LayerParts] | None:
    """The layers of a model of a known class; None if something about it is not as that class builds it."""
    config = model.config
    usual = (
        getattr(config, "position_embedding_type", None) in (None, "absolute")
        and getattr(config, "_attn_implementation", None) in (None, "eager", "sdpa")
        and not getattr(config, "is_decoder", False)
        and not getattr(config, "add_cross_attention", False)
        and _takes_positions(model.embeddings)
        and Structure(model).is_plain()
    )
    if not usual:
        return None
    place, take_apart = ARCHITECTURES[type(model).__name__]
    layers = [take_apart(layer) for layer in getattr(model, place).layer]
    weights = [part.weight for layer in layers for part in layer.linears()]
    if not all(layer.are_plain() for layer in layers) or not all(map(_can_be_watched, weights)):
        return None
    return layers


def _can_be_watched(weight: Tensor) -> bool:
    # torch does not count changes of inference tensors, and other layouts have no flat view to compare.
    return not weight.is_inference() and not weight.is_meta and weight.is_contiguous()


def _takes_positions(embeddings: nn.Module) -> bool:
    """Whether the position of each token can be told; some releases' DistilBERT counts columns instead."""
    return "position_ids" in inspect.signature(embeddings.forward).parameters


class Structure:
    """The modules of a model at one moment."""

    def __init__(self, model: nn.Module) -> None:
        self._slots = [
            (module._modules, name, child)
            for module in model.modules()
            for name, child in module._modules.items()
            if child is not None
        ]

    def is_plain(self) -> bool:
        """Whether each module is in its place, in eval mode, and nothing is hooked on its forward pass."""
        # Hooks on the calls of all modules there are
        if torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks:
            return False
        return all(slots.get(name) is child and is_plain_module(child) for slots, name, child in self._slots)


def is_plain_module(module: nn.Module) -> bool:
    """Whether a call of a module runs its class's forward pass in eval mode, uncompiled, and nothing else."""
    if module.training or "forward" in module.__dict__ or module._forward_pre_hooks:
        return False
    if module._compiled_call_impl is not None:
        return False
    # transformers leaves hooks behind that do nothing unless hidden states are asked for.
    return all(getattr(hook, "__module__", None) == _IDLE_HOOKS for hook in module._forward_hooks.values())


def _bert_layer(layer: Any) -> LayerParts:
    attention, own = layer.attention, layer.attention.self
    return LayerParts(
        own.query,
        own.key,
        own.value,
        attention.output.dense,
        attention.output.LayerNorm,
        layer.intermediate.dense,
        layer.intermediate.intermediate_act_fn,
        layer.output.dense,
        layer.output.LayerNorm,
    )


def _distilbert_layer(layer: Any) -> LayerParts:
    own, network = layer.attention, layer.ffn
    return LayerParts(
        own.q_lin,
        own.k_lin,
        own.v_lin,
        own.out_lin,
        layer.sa_layer_norm,
        network.lin1,
        network.activation,
        network.lin2,
        layer.output_layer_norm,
    )


def _mpnet_layer(layer: Any) -> LayerParts:
    own = layer.attention.attn
    return LayerParts(
        own.q,
        own.k,
        own.v,
        own.o,
        layer.attention.LayerNorm,
        layer.intermediate.dense,
        layer.intermediate.intermediate_act_fn,
        layer.output.dense,
        layer.output.LayerNorm,
    )


ARCHITECTURES: dict[str, tuple[str, Callable[[Any], LayerParts]]] = {
    "BertModel": ("encoder", _bert_layer),
    "RobertaModel": ("encoder", _bert_layer),
    "XLMRobertaModel": ("encoder", _bert_layer),
    "CamembertModel": ("encoder", _bert_layer),
    "DistilBertModel": ("transformer", _distilbert_layer),
    "MPNetModel": ("encoder", _mpnet_layer),
}
"""Class of the transformers model: the attribute that holds its layers, and how one is taken apart."""


def _bert_head(model: Any, states: Tensor) -> Tensor:
    return model.classifier(model.bert.pooler(states))


def _distilbert_head(model: Any, states: Tensor) -> Tensor:
    return model.classifier(torch.relu(model.pre_classifier(states[:, 0])))


def _own_head(model: Any, states: Tensor) -> Tensor:
    return model.classifier(states)


HEADS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "BertForSequenceClassification": _bert_head,
    "RobertaForSequenceClassification": _own_head,
    "XLMRobertaForSequenceClassification": _own_head,
    "CamembertForSequenceClassification": _own_head,
    "DistilBertForSequenceClassification": _distilbert_head,
    "MPNetForSequenceClassification": _own_head,
}
"""Class of a sequence classifier: its logits, in eval mode, from the state ``[n, 1, d]`` of first tokens."""


@dataclass(frozen=True)
class WordHead:
    """A masked-language head: what a state goes through before it meets the vectors of all words."""

    transform: Callable[[Tensor], Tensor]
    modules: tuple[nn.Module, ...]
    decoder: nn.Linear

    def is_plain(self) -> bool:
        """Whether every part of it is in eval mode and runs its class's forward pass and nothing else."""
        parts = [part for module in (*self.modules, self.decoder) for part in module.modules()]
        usual = type(self.decoder) is nn.Linear and self.decoder.bias is not None
        return usual and all(is_plain_module(part) for part in parts)


def _bert_words(model: Any) -> WordHead:
    head = model.cls.predictions
    return WordHead(head.transform, (head.transform,), head.decoder)


def _roberta_words(model: Any) -> WordHead:
    head = model.lm_head

    def transform(states: Tensor) -> Tensor:
        return head.layer_norm(nn.functional.gelu(head.dense(states)))

    return WordHead(transform, (head.dense, head.layer_norm), head.decoder)


def _distilbert_words(model: Any) -> WordHead:
    def transform(states: Tensor) -> Tensor:
        return model.vocab_layer_norm(model.activation(model.vocab_transform(states)))

    return WordHead(transform, (model.vocab_transform, model.vocab_layer_norm), model.vocab_projector)


WORD_HEADS: dict[str, Callable[[Any], WordHead]] = {
    "BertForMaskedLM": _bert_words,
    "RobertaForMaskedLM": _roberta_words,
    "XLMRobertaForMaskedLM": _roberta_words,
    "CamembertForMaskedLM": _roberta_words,
    "MPNetForMaskedLM": _roberta_words,
    "DistilBertForMaskedLM": _distilbert_words,
}
"""Class of a model with a masked-language head: that head, taken apart."""
