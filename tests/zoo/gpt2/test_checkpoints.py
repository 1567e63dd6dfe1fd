"""Published weights, against the numbers that `transformers` computes of them."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo import GPT2, GPT2CausalLM, Sampling
from polysemy.zoo.gpt2.layouts import LAYOUTS
from polysemy.zoo.text.byte_pair_files import write_byte_pairs


def logits(model, ids):
    inputs = {"token_ids": np.array(ids, "int32"), "padding_mask": np.ones_like(ids, bool)}
    return keras.ops.convert_to_numpy(model(inputs)["logits"])


@pytest.mark.parametrize("kind", ["gpt2", "openai-gpt"])
def test_logits_and_greedy_ids_equal_those_of_transformers(
    kind, published, golden, record_property
):
    expected = golden[kind]
    model = GPT2CausalLM.from_checkpoint(published[kind])
    found = logits(model, expected["token_ids"])
    difference = np.abs(found[:, ::5, ::24] - expected["logits"]).max()
    record_property("max_difference", float(difference))
    assert difference <= 1e-4
    if kind == "gpt2":  # the other one has the same decoding
        answer = model.generator(expected["token_ids"], Sampling(max_length=50, min_length=50))
        assert answer["token_ids"].numpy().tolist() == expected["greedy"]


def test_the_recorded_numbers_are_those_of_transformers(published, golden, record_property):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    for kind, folder in published.items():
        theirs = transformers.AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="eager"
        ).eval()
        ids = torch.tensor(golden[kind]["token_ids"])
        with torch.no_grad():
            outputs = theirs(ids, output_hidden_states=True, output_attentions=True)
        np.testing.assert_allclose(
            outputs.logits[:, ::5, ::24], golden[kind]["logits"], rtol=0, atol=1e-5
        )
        ours = GPT2.from_checkpoint(folder, return_attention=True)
        found = ours({"token_ids": ids.numpy(), "padding_mask": np.ones(ids.shape, bool)})
        hidden = np.stack([x.numpy() for x in outputs.hidden_states], axis=1)
        attention = np.stack([x.numpy() for x in outputs.attentions], axis=1)
        np.testing.assert_allclose(found["layer_outputs"], hidden, rtol=0, atol=1e-4)
        np.testing.assert_allclose(found["attention"], attention, rtol=0, atol=1e-5)


def openai_names(config, arrays):
    """The same weights under the names and in the shapes of OpenAI's TensorFlow files."""
    theirs, ours = LAYOUTS["openai"], LAYOUTS["gpt2"]
    renamed = {theirs.tokens: arrays[ours.tokens], theirs.positions: arrays[ours.positions]}
    for name, array in arrays.items():
        parts = name.split(".")
        if parts[0] == "ln_f":
            renamed[f"model/ln_f/{'g' if parts[1] == 'weight' else 'b'}"] = array
        elif parts[0] == "h":
            kind = {"bias": "b", "weight": "g" if parts[2].startswith("ln") else "w"}[parts[-1]]
            name = f"model/h{parts[1]}/{'/'.join(parts[2:-1])}/{kind}"
            renamed[name] = array[None] if kind == "w" else array
    return renamed


def write_tensorflow(folder, arrays):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saver_of = {k: tf.compat.v1.get_variable(k, initializer=v) for k, v in arrays.items()}
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(saver_of).save(session, str(folder / "model.ckpt"))


def test_openai_files(files, golden, tmp_path):
    config = {**files.CONFIG, "n_inner": 96}  # their files know four times the width only
    arrays = files.tensors(config)
    write_tensorflow(tmp_path, openai_names(config, arrays))
    hparams = {"n_vocab": 267, "n_ctx": 96, "n_embd": 24, "n_head": 4, "n_layer": 2}
    (tmp_path / "hparams.json").write_text(json.dumps(hparams))
    write_byte_pairs(tmp_path, files.VOCABULARY, files.MERGES, ("encoder.json", "vocab.bpe"))
    model = GPT2CausalLM.from_checkpoint(tmp_path)
    same = GPT2CausalLM.from_checkpoint(
        files.write(tmp_path / "hf", config, arrays, "transformer.")
    )
    ids = golden["gpt2"]["token_ids"]
    np.testing.assert_array_equal(logits(model, ids), logits(same, ids))
    assert model.backbone.vocabulary == files.VOCABULARY and same.backbone.vocabulary is None

    write_byte_pairs(tmp_path, files.VOCABULARY[:-1], files.MERGES, ("encoder.json", "vocab.bpe"))
    with pytest.raises(
        ValueError, match="one token for each token vector.*266 tokens, 267 vectors"
    ):
        GPT2.from_checkpoint(tmp_path)
    (tmp_path / "hparams.json").write_text(json.dumps({**hparams, "n_head": 5, "n_ctx": 0}))
    with pytest.raises(ValueError, match="n_ctx must be a positive integer, not 0"):
        GPT2.from_checkpoint(tmp_path)


def test_gpt_arrays(files, golden, published, tmp_path):
    config = {**files.GPT1_CONFIG, "n_head": 1}  # heads of 64 in their files: one here
    arrays = files.tensors(config)
    order = LAYOUTS["openai-gpt"].names_in_order(2)
    shaped = [arrays[name][None] if "c_" in name and arrays[name].ndim == 2 else arrays[name]
              for name in order]  # fmt: skip
    (tmp_path / "params_shapes.json").write_text(json.dumps([x.shape for x in shaped]))
    flat = np.concatenate([x.ravel() for x in shaped])
    for i, part in enumerate(np.array_split(flat, 10)):
        np.save(tmp_path / f"params_{i}.npy", part)
    model = GPT2CausalLM.from_checkpoint(tmp_path)
    same = GPT2CausalLM.from_checkpoint(files.write(tmp_path / "hf", config, arrays))
    ids = golden["gpt2"]["token_ids"]
    np.testing.assert_array_equal(logits(model, ids), logits(same, ids))
    np.save(tmp_path / "params_9.npy", flat[:5])
    with pytest.raises(ValueError, match="as many numbers as the files have"):
        GPT2.from_checkpoint(tmp_path)
    (tmp_path / "params_4.npy").unlink()
    with pytest.raises(FileNotFoundError, match="must hold params_4.npy"):
        GPT2.from_checkpoint(tmp_path)


def test_every_misfit_is_listed(files, tmp_path):
    arrays = files.tensors(files.CONFIG)
    del arrays["h.1.ln_2.bias"], arrays["ln_f.weight"]
    arrays["wpe.weight"] = arrays["wpe.weight"][:90]
    arrays["h.0.mlp.c_fc.weight"] = arrays["h.0.mlp.c_fc.weight"].T.copy()
    arrays["h.2.ln_1.bias"] = np.zeros(24, "f4")
    arrays["lm_head.weight"] = arrays["wte.weight"] + 1  # not the token vectors
    arrays["h.0.attn.bias"] = np.zeros((1, 1, 96, 96), "f4")  # a buffer of old files
    with pytest.raises(ValueError) as raised:
        GPT2.from_checkpoint(files.write(tmp_path, files.CONFIG, arrays))
    message = str(raised.value)
    for line in (
        "6 mismatch(es)",
        "missing tensor 'h.1.ln_2.bias'",
        "missing tensor 'ln_f.weight'",
        "tensor 'wpe.weight' of shape (90, 24) does not fit",
        "tensor 'h.0.mlp.c_fc.weight' of shape (60, 24) does not fit",
        "superfluous tensor 'h.2.ln_1.bias' (24,)",
        "superfluous tensor 'lm_head.weight' (267, 24)",
    ):
        assert line in message


def test_a_tied_head_and_buffers_may_be_there(files, tmp_path):
    arrays = files.tensors(files.CONFIG)
    arrays["lm_head.weight"] = arrays["wte.weight"].copy()
    arrays["h.0.attn.masked_bias"] = np.zeros((), "f4")
    GPT2.from_checkpoint(files.write(tmp_path, files.CONFIG, arrays))


def test_pickles_need_a_flag(files, tmp_path):
    torch = pytest.importorskip("torch")
    arrays = files.tensors(files.CONFIG)
    folder = files.write(tmp_path, files.CONFIG, arrays)
    safe = GPT2.from_checkpoint(folder)
    (folder / "model.safetensors").unlink()
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="`allow_pickle` must be True"):
        GPT2.from_checkpoint(folder)
    model = GPT2.from_checkpoint(folder, allow_pickle=True)
    for ours, expected in zip(model.weights, safe.weights, strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "bert"}, "model_type gpt2 or openai-gpt. Received: model_type='bert'"),
        ({"n_embd": None}, "n_embd must be a positive integer, not None"),
        ({"n_head": 7}, "n_embd must be divisible by n_head"),
        ({"activation_function": "silu"}, "the activation must be one of.*not 'silu'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx must be Fal"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings must be True, not False"),
    ],
    ids=str,
)
def test_configurations_of_other_models(files, tmp_path, change, message):
    folder = files.write(tmp_path, {**files.CONFIG, **change}, {})
    with pytest.raises(ValueError, match=message):
        GPT2.from_checkpoint(folder)


def test_folders_of_other_kinds(tmp_path):
    with pytest.raises(FileNotFoundError, match="`directory` must hold `hparams.json` with"):
        GPT2.from_checkpoint(tmp_path)
    for name in ("config.json", "hparams.json"):
        (tmp_path / name).write_text("[]")
        with pytest.raises(ValueError, match=f"{name} must be a JSON object"):
            GPT2.from_checkpoint(tmp_path)
        (tmp_path / name).write_text("{")
        with pytest.raises(ValueError, match=f"{name} must be JSON"):
            GPT2.from_checkpoint(tmp_path)


def test_save_as_huggingface(model, files, tmp_path):
    model.backbone.save_as_huggingface(tmp_path / "hf")
    again = GPT2.from_checkpoint(tmp_path / "hf")
    assert again.get_config() == model.backbone.get_config()
    for ours, expected in zip(again.weights, model.backbone.weights, strict=True):
        np.testing.assert_array_equal(ours, expected)
    with pytest.raises(FileExistsError, match="`directory` must be new or empty"):
        again.save_as_huggingface(tmp_path / "hf")
    gpt1 = GPT2(vocabulary_size=5, num_layers=1, num_heads=1, hidden_dim=4, norm="post")
    with pytest.raises(ValueError, match="must have `norm=\"pre\"`.*norm='post'"):
        gpt1.save_as_huggingface(tmp_path / "gpt1")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    text = "The cat sat on the mat<|endoftext|>"
    assert theirs(text)["input_ids"] == model.preprocessor([text])["token_ids"].numpy()[0].tolist()
    _, info = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "hf", output_loading_info=True
    )
    assert not info["unexpected_keys"] and set(info["missing_keys"]) <= {"lm_head.weight"}
