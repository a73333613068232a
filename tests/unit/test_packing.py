"""The forward pass without padding against the padded one of transformers."""

from __future__ import annotations

import functools
import gc
import weakref

import pytest
import torch
from torch.nn.modules import module as module_hooks

from stlib.base.modules import fused_linear, packing
from stlib.base.modules.packing import run_packed_logits, run_packed_tokens
from stlib.errors import UnsupportedOption

ARCHITECTURES = ["bert", "roberta", "xlm-roberta", "camembert", "mpnet", "distilbert"]
LENGTHS = [20, 3, 1, 7, 7, 12, 20, 2]


def tiny(name: str, kind: str = "AutoModel", **options):
    import transformers

    sizes = {
        "vocab_size": 60,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
    }
    if name == "distilbert":
        sizes = {"vocab_size": 60, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    torch.manual_seed(3)
    # Wide enough that the layers matter next to the embeddings
    config = transformers.AutoConfig.for_model(name, **sizes, initializer_range=0.3, **options)
    return getattr(transformers, kind).from_config(config).eval()


def batch(model, lengths=LENGTHS):
    padding = model.config.pad_token_id or 0
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(2, 60, mask.shape, generator=torch.Generator().manual_seed(5))
    return {"input_ids": torch.where(mask.bool(), ids, padding), "attention_mask": mask}


@torch.no_grad()
def distance(model, inputs, unpad=None) -> float:
    """Largest difference from the padded forward pass at a token."""
    packed = run_packed_tokens(model, inputs, unpad)
    assert packed is not None
    mask = inputs["attention_mask"].unsqueeze(-1)
    assert not (packed * (1 - mask)).any()
    return ((packed - model(**inputs)[0]) * mask).abs().max().item()


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_equals_the_padded_forward_pass(name, attention):
    model = tiny(name)
    if name != "mpnet":
        model.set_attn_implementation(attention)
    assert distance(model, batch(model)) < 1e-5
    assert distance(model, batch(model, [5, 5, 5])) < 1e-5
    assert distance(model, batch(model, [1])) < 1e-5
    assert distance(model.double(), batch(model)) < 1e-12


@pytest.mark.parametrize("lengths", [LENGTHS, [5, 5, 5], [1]], ids=["ragged", "even", "one"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits_of_classifiers_equal_those_of_the_padded_pass(name, lengths):
    model = tiny(name, "AutoModelForSequenceClassification", num_labels=3)
    inputs = batch(model, lengths)
    with torch.no_grad():
        torch.testing.assert_close(
            run_packed_logits(model, inputs, None), model(**inputs).logits, rtol=1e-4, atol=1e-5
        )
        assert run_packed_logits(model, inputs, unpad=False) is None
        hook = model.register_forward_hook(lambda *args: None)
        assert run_packed_logits(model, inputs, None) is None
        hook.remove()
    assert run_packed_logits(model, inputs, None) is None  # a gradient is wanted


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_tokens_that_queries_were_filled_up_with_look_at_the_text_alone(name):
    model = tiny(name)
    inputs = batch(model, [4, 2, 4, 7, 6])
    mask = inputs["attention_mask"].bool()
    added = ~mask & (torch.arange(7) < 6)
    inputs["input_ids"][added] = 59
    wanted = (mask | added).unsqueeze(-1)
    with torch.no_grad():
        packed = run_packed_tokens(model, inputs, unpad=True, added=added)
        assert ((packed - model(**inputs)[0]) * wanted).abs().max() < 1e-5
        assert not (packed * ~wanted).any()
        inputs["attention_mask"][0, 0] = 0  # padding on the left
        with pytest.raises(UnsupportedOption):
            run_packed_tokens(model, inputs, unpad=True, added=added)


@pytest.mark.parametrize("name", ["bert", "mpnet"])
def test_bfloat16_is_as_near_to_float32_as_transformers_is(name):
    model = tiny(name)
    inputs = batch(model)
    mask = inputs["attention_mask"].unsqueeze(-1)
    with torch.no_grad():
        exact = model(**inputs)[0]
        half = model.bfloat16()
        theirs = ((half(**inputs)[0].float() - exact) * mask).abs().max()
        packed = run_packed_tokens(half, inputs, None)
        assert packed.dtype is torch.bfloat16
        assert ((packed.float() - exact) * mask).abs().max() < 1.5 * theirs


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"])
def test_activations(activation):
    model = tiny("bert", hidden_act=activation)
    assert distance(model, batch(model)) < 1e-5


def test_token_types():
    model = tiny("bert")
    inputs = batch(model)
    types = torch.randint(0, 2, inputs["input_ids"].shape, generator=torch.Generator().manual_seed(1))
    assert distance(model, {**inputs, "token_type_ids": types}) < 1e-5


def test_a_padding_token_inside_a_text_keeps_its_position():
    model = tiny("roberta")
    inputs = batch(model)
    inputs["input_ids"][0, 4] = model.config.pad_token_id
    assert distance(model, inputs) < 1e-5


def test_large_models_keep_no_second_copy_of_their_weights(monkeypatch):
    monkeypatch.setattr(packing, "_MAX_BLOCKED_BYTES", 0)
    model = tiny("bert")
    assert distance(model, batch(model)) < 1e-5


def in_place(model):
    model.encoder.layer[0].output.dense.weight.mul_(1.5)


def through_data(model):
    model.encoder.layer[1].attention.self.key.weight.data.mul_(1.5)


def another_tensor(model):
    linear = model.encoder.layer[0].intermediate.dense
    linear.weight = torch.nn.Parameter(linear.weight * 1.5)


def another_module(model):
    model.encoder.layer[1] = tiny("bert").double().float().encoder.layer[0]


def another_state(model):
    model.load_state_dict({name: value * 0.9 for name, value in model.state_dict().items()})


def columns_through_data(model):
    model.encoder.layer[0].attention.self.value.weight.data[:, 16:32] = 0


def rows_through_data(model):
    model.encoder.layer[0].output.dense.weight.data[:16] = 0


def through_numpy(model):
    model.encoder.layer[1].intermediate.dense.weight.detach().numpy()[:, 4:20] *= -1


def bias_through_data(model):
    model.encoder.layer[1].intermediate.dense.bias.data[5] = 9


CHANGES = [
    in_place,
    through_data,
    another_tensor,
    another_module,
    another_state,
    columns_through_data,
    rows_through_data,
    through_numpy,
    bias_through_data,
]


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_the_weights_are_noticed(change):
    model = tiny("bert")
    inputs = batch(model)
    with torch.no_grad():
        before = run_packed_tokens(model, inputs, None)
        change(model)
        assert (run_packed_tokens(model, inputs, None) - before).abs().max() > 0.01
    assert distance(model, inputs) < 1e-5


@pytest.mark.parametrize("shape", [(32, 32), (384, 384), (1536, 384), (384, 1536), (768, 3072), (48, 32)])
def test_sixteen_rows_or_columns_never_go_unnoticed(shape):
    layer = torch.nn.Linear(shape[1], shape[0])
    watch = fused_linear.WeightWatch([layer], summed=False)
    for dim, size in enumerate(shape):
        for start in range(size - 15):
            part = layer.weight.data.narrow(dim, start, 16)
            kept = part.clone()
            part += 1
            assert not watch.is_unchanged(1), (dim, start)
            part.copy_(kept)
    assert watch.is_unchanged(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(300, 500), (33, 3)])
def test_a_single_value_is_noticed_after_so_many_tokens(shape, dtype):
    layer = torch.nn.Linear(shape[1], shape[0]).to(dtype)
    for place in ((1, 2), (shape[0] - 1, 1), (shape[0] // 2, 0)):
        watch = fused_linear.WeightWatch([layer], summed=True)
        assert all(watch.is_unchanged(64) for _ in range(70))
        layer.weight.data[place] *= -1
        assert not all(watch.is_unchanged(64) for _ in range(fused_linear.TOKENS_PER_CHECK // 64))


def test_forgetting_makes_the_change_of_one_value_count_at_once():
    model = tiny("bert")
    inputs = batch(model)
    with torch.no_grad():
        before = run_packed_tokens(model, inputs, None)
        model.encoder.layer[0].intermediate.dense.weight.data[1, 2] += 3
        packing.forget_packed(torch.nn.Sequential(model))
        assert (run_packed_tokens(model, inputs, None) - before).abs().max() > 1e-3
    assert distance(model, inputs) < 1e-5


def test_weights_of_another_layout_rule_packing_out():
    model = tiny("bert")
    dense = model.encoder.layer[0].intermediate.dense
    dense.weight = torch.nn.Parameter(dense.weight.detach().t().contiguous().t())
    with torch.no_grad():
        assert run_packed_tokens(model, batch(model), None) is None


def trained(model, inputs):
    model.train()
    return inputs


def moved(model, inputs):
    model.to("meta")
    return {name: value.to("meta") for name, value in inputs.items()}


@pytest.mark.parametrize("unpad", [None, False])
@pytest.mark.parametrize("leave", [trained, moved])
def test_the_copy_goes_when_the_model_is_no_longer_served(leave, unpad):
    model = tiny("bert")
    distance(model, batch(model))
    copy = weakref.ref(packing._ENCODERS[model])
    assert run_packed_tokens(model, leave(model, batch(model)), unpad) is None
    gc.collect()
    assert copy() is None


def test_embeddings_that_take_no_positions_rule_packing_out(monkeypatch):
    model = tiny("distilbert")
    kind = type(model.embeddings)
    forward = kind.forward
    # As in transformers 4.57
    monkeypatch.setattr(kind, "forward", lambda self, input_ids, input_embeds=None: forward(self, input_ids))
    with torch.no_grad():
        assert run_packed_tokens(model, batch(model), None) is None
        with pytest.raises(UnsupportedOption, match="not possible for DistilBertModel"):
            run_packed_tokens(model, batch(model), True)


def hooked(model, inputs):
    model.encoder.layer[0].register_forward_hook(lambda module, args, output: None)


def training(model, inputs):
    model.encoder.layer[0].output.dropout.train()


def wrapped(model, inputs):
    class Wrapped(torch.nn.Linear):
        pass

    model.encoder.layer[0].output.dense = Wrapped(48, 32).eval()


def left_padded(model, inputs):
    inputs["attention_mask"] = inputs["attention_mask"].flip(1)


def empty(model, inputs):
    inputs["attention_mask"][0] = 0


def hidden_states(model, inputs):
    inputs["output_hidden_states"] = True


def embedded(model, inputs):
    inputs["inputs_embeds"] = torch.zeros(8, 20, 32)


def compiled(model, inputs):
    model.encoder.layer[0].intermediate.compile(backend="eager")


def partially_hooked(model, inputs):
    # A partial function has no module of its own.
    model.encoder.layer[0].register_forward_hook(functools.partial(lambda *args: None))


RULES = [hooked, partially_hooked, compiled, training, wrapped, left_padded, empty, hidden_states, embedded]


@pytest.mark.parametrize("after_packing", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_what_rules_packing_out(rule, after_packing):
    model = tiny("bert")
    inputs = batch(model)
    if after_packing:
        distance(model, inputs)
    rule(model, inputs)
    with torch.no_grad():
        assert run_packed_tokens(model, inputs, None) is None
        with pytest.raises(UnsupportedOption, match="unpad_inputs=True is not possible for BertModel"):
            run_packed_tokens(model, inputs, True)


@pytest.mark.parametrize(
    "register", [module_hooks.register_module_forward_hook, module_hooks.register_module_forward_pre_hook]
)
def test_hooks_on_all_modules_rule_packing_out(register):
    model = tiny("bert")
    distance(model, batch(model))
    handle = register(lambda *args: None)
    try:
        with torch.no_grad():
            assert run_packed_tokens(model, batch(model), None) is None
    finally:
        handle.remove()
    assert distance(model, batch(model)) < 1e-5


def test_other_architectures_and_gradients():
    model = tiny("electra", embedding_size=32)
    with torch.no_grad():
        assert run_packed_tokens(model, batch(model), None) is None
        with pytest.raises(UnsupportedOption, match="ElectraModel as it is set up"):
            run_packed_tokens(model, batch(model), True)
    known = tiny("bert")
    assert run_packed_tokens(known, batch(known), None) is None  # gradients are on
    with torch.no_grad():
        assert run_packed_tokens(known, batch(known), False) is None
        assert run_packed_tokens(known, batch(known), True) is not None


@pytest.mark.parametrize("name", ["electra", "bert"])
def test_classifiers_that_are_not_served_are_named_where_packing_is_demanded(name):
    model = tiny(name, "AutoModelForSequenceClassification")
    inputs = batch(model)
    if name == "bert":
        model.register_forward_hook(lambda *args: None)
    with torch.no_grad():
        assert run_packed_logits(model, inputs, None) is None
        with pytest.raises(UnsupportedOption, match=f"(?i)is not possible for {name}ForSequenceClassific"):
            run_packed_logits(model, inputs, True)
    assert run_packed_logits(model, inputs, True) is None  # a gradient is wanted
    with torch.no_grad():
        assert run_packed_logits(model.train(), inputs, True) is None


def test_after_hidden_states_were_asked_for_packing_goes_on():
    model = tiny("bert")
    with torch.no_grad():
        model(**batch(model), output_hidden_states=True)
    assert distance(model, batch(model)) < 1e-5


def test_a_model_is_freed_with_its_packed_form():
    model = tiny("bert")
    distance(model, batch(model))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
