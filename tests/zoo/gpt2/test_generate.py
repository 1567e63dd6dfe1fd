"""Text in, text out: directly, exported, and over gRPC."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy import serving
from polysemy.zoo import GPT2, GPT2CausalLM, Sampling

PROMPTS = ["the cat", "", "a hen é"]


def test_text_is_continued(model):
    texts = model.generate(PROMPTS, Sampling(max_length=8))
    assert len(texts) == 3 and all(isinstance(text, str) and text for text in texts)
    assert model.generate(PROMPTS[:1], Sampling(max_length=8)) == texts[:1]
    assert model.generate([]) == []
    first = model.preprocessor(texts[:1])["token_ids"].numpy()[0, 0]
    stop = [model.backbone.vocabulary[first]]
    assert model.generate(PROMPTS[:1], Sampling(max_length=8), stop=stop) == [""]


def test_bad_calls(model):
    with pytest.raises(ValueError, match="`prompts` must be a list of str. Received: prompts='a'"):
        model.generate("a")
    with pytest.raises(ValueError, match=r"`stop_tokens` must be ids from 0 to 266.*\[267\]"):
        model.generate(["a"], stop_tokens=[267])
    with pytest.raises(ValueError, match=r"`stop` must be tokens of the vocabulary.*\['zz'\]"):
        model.generate(["a"], stop=["zz"])
    with pytest.raises(ValueError, match="fit the model's 96 positions. Received: a prompt of 90"):
        model.generate(["x" * 90], Sampling(max_length=7))
    without = GPT2CausalLM(GPT2(vocabulary_size=9, num_layers=1, num_heads=1, hidden_dim=4))
    with pytest.raises(ValueError, match="`model` must have a vocabulary"):
        without.generate(["a"])
    assert without.serving_signatures() == {}


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    directory = tmp_path_factory.mktemp("exported") / "gpt2"
    serving.export(model, directory)
    return tf.saved_model.load(str(directory / "1")).signatures


def scalars(**options):
    tensors = {**Sampling().tensors(), "seed": tf.constant(0, tf.int64)}
    return tensors | {
        name: tf.constant(value, tensors[name].dtype) for name, value in options.items()
    }


def test_exported_equals_direct(model, exported):
    assert {"generate", "next_word", "serving_default", "ids"} <= set(exported)
    for options in (
        {"max_length": 12},
        {"max_length": 12, "temperature": 1.2, "top_k": 20, "top_p": 0.9, "seed": 3},
        {"max_length": 6, "num_beams": 3, "length_penalty": 0.6},
    ):
        found = exported["generate"](prompts=tf.constant(PROMPTS), **scalars(**options))
        seed = options.pop("seed", 0)
        expected = model.generate(PROMPTS, Sampling(**options), seeds=seed)
        assert [text.decode() for text in found["texts"].numpy()] == expected


def test_next_word(model, exported):
    found = exported["next_word"](prompts=tf.constant(PROMPTS), top_k=tf.constant(4))
    for row, prompt in enumerate(PROMPTS):
        text = prompt or "<|endoftext|>"
        x = model.preprocessor([text])
        p = tf.nn.softmax(model(x)["logits"][0, -1]).numpy()
        best = np.argsort(-p)[:4]
        np.testing.assert_allclose(found["probabilities"][row], p[best], rtol=1e-4)
        expected = model.preprocessor.decode(best[:, None]).numpy().tolist()
        assert found["tokens"][row].numpy().tolist() == expected


def test_bad_requests(exported):
    for options, message in (
        ({"max_length": 0}, "`max_length` must be at least 1"),
        ({"top_k": 5}, "must go with a `temperature` above 0"),
        ({"max_length": 96}, "must fit the positions of the model, 96"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            exported["generate"](prompts=tf.constant(["a"]), **scalars(**options))
    with pytest.raises(tf.errors.InvalidArgumentError, match="`top_k` be from 1 to 267"):
        exported["next_word"](prompts=tf.constant(["a"]), top_k=tf.constant(0))
