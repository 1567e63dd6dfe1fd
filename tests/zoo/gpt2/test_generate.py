"""Text in, text out: directly, exported, and over gRPC."""

import json

import numpy as np
import pytest
import tensorflow as tf

from polysemy import cli, serving
from polysemy.serving import server as serving_server
from polysemy.serving.errors import ServingError
from polysemy.zoo import GPT2, GPT2CausalLM, Sampling

PROMPTS = ["the cat", "", "a hen é"]


@pytest.fixture(scope="module")
def model(files):
    """One block: what is tested here is all around it, and each signature is traced."""
    backbone = GPT2(
        files.VOCABULARY, files.MERGES, num_layers=1, num_heads=2, hidden_dim=8, max_length=96
    )
    draw = np.random.default_rng(2)
    for weight in backbone.weights:
        weight.assign(draw.normal(scale=0.7, size=weight.shape))
    return GPT2CausalLM(backbone)


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
    with pytest.raises(ValueError, match="`stop` must be a list of str. Received: stop='he'"):
        model.generate(["a"], stop="he")
    with pytest.raises(ValueError, match=r"`prompts` must be a list of str. Received: .*\[1\]"):
        model.generate([1])
    with pytest.raises(ValueError, match=r"`prompts` must be ids from 0 to 266. Received: \[267\]"):
        model.generator([[267]])
    with pytest.raises(ValueError, match="fit the model's 96 positions. Received: a prompt of 90"):
        model.generate(["x" * 90], Sampling(max_length=7))
    without = GPT2CausalLM(GPT2(vocabulary_size=9, num_layers=1, num_heads=1, hidden_dim=4))
    with pytest.raises(ValueError, match="`model` must have a vocabulary"):
        without.generate(["a"])
    assert without.serving_signatures() == {}


def test_compiled_by_xla(model):
    ids = model.preprocessor.prompts(tf.constant(["the cat on a thing"]))
    compiled = []
    for options in ({}, {"temperature": 1.5, "top_k": 20}, {"repetition_penalty": 3.0}):
        sampling = Sampling(max_length=20, **options)
        plain = model.generator(ids, sampling, seeds=3)
        answer = model.generator(ids, sampling, seeds=3, jit_compile=True)
        assert answer["token_ids"].numpy().tolist() == plain["token_ids"].numpy().tolist()
        np.testing.assert_allclose(answer["scores"], plain["scores"], rtol=1e-4)
        compiled.append(answer["token_ids"].numpy().tolist())
    assert len({str(each) for each in compiled}) == 3
    text = model.generate(["the cat"], Sampling(max_length=5), jit_compile=True)
    assert text == model.generate(["the cat"], Sampling(max_length=5))


def test_what_xla_is_not_for(model):
    with pytest.raises(ValueError, match="one prompt and one beam. Received: 2 prompts, num_b"):
        model.generate(["the", "cat"], jit_compile=True)
    with pytest.raises(
        ValueError, match="one prompt and one beam. Received: 1 prompts, num_beams=2"
    ):
        model.generate(["the"], Sampling(num_beams=2), jit_compile=True)
    half = GPT2CausalLM(GPT2.from_size("tiny", vocabulary_size=20, dtype="mixed_bfloat16"))
    with pytest.raises(ValueError, match=r"a model in float32. Received: \['bfloat16'\]"):
        half.generator([[1, 2]], Sampling(max_length=2), jit_compile=True)
    assert half.generator([[1, 2]], Sampling(max_length=2))["lengths"].numpy().tolist() == [2]


@pytest.fixture(scope="module")
def directory(model, tmp_path_factory):
    directory = tmp_path_factory.mktemp("exported") / "gpt2"
    serving.export(model, directory)
    return directory


@pytest.fixture(scope="module")
def exported(directory):
    return tf.saved_model.load(str(directory / "1")).signatures


def scalars(**options):
    tensors = {**Sampling().tensors(), "seed": tf.constant(0), "stop": tf.constant([], tf.string)}
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


def test_stop_tokens_of_a_request(model, exported):
    prompt, sampling = tf.constant(PROMPTS[:1]), Sampling(max_length=8)
    ids = model.generator(model.preprocessor.prompts(PROMPTS[:1]), sampling)["token_ids"].numpy()[0]
    vocabulary = model.backbone.vocabulary
    stop = [vocabulary[ids[5]], vocabulary[0] if vocabulary[0] not in ids else "é"]
    (expected,) = model.generate(PROMPTS[:1], sampling, stop=stop)
    found = exported["generate"](prompts=prompt, **scalars(max_length=8, stop=stop))
    assert found["lengths"].numpy() == [list(ids).index(ids[5])]
    assert found["texts"].numpy()[0].decode() == expected
    with pytest.raises(tf.errors.InvalidArgumentError, match="`stop` must be tokens of the vocab"):
        exported["generate"](prompts=prompt, **scalars(stop=["zz"]))


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
        ({"num_beams": 65}, "`num_beams` must be at most 64. Received:. .65"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            exported["generate"](prompts=tf.constant(["a"]), **scalars(**options))
    with pytest.raises(tf.errors.InvalidArgumentError, match="`top_k` be from 1 to 267"):
        exported["next_word"](prompts=tf.constant(["a"]), top_k=tf.constant(0))
    nothing = tf.constant([], tf.string)
    with pytest.raises(tf.errors.InvalidArgumentError, match="There must be a prompt"):
        exported["generate"](prompts=nothing, **scalars())
    with pytest.raises(tf.errors.InvalidArgumentError, match="There must be prompts"):
        exported["next_word"](prompts=nothing, top_k=tf.constant(2))


def test_more_than_the_positions(model, exported):
    """Text is cut, ids are refused by a message that names the rule."""
    text = "x" * 200
    found = exported["serving_default"](sentences=tf.constant([text]))["logits"]
    expected = model(model.preprocessor([text]))["logits"]
    assert found.shape[1] == 96
    np.testing.assert_allclose(found, expected, atol=1e-5)
    ids = {"token_ids": tf.ones([1, 97], tf.int32), "padding_mask": tf.ones([1, 97], tf.bool)}
    rule = "`token_ids` must have at most 96 columns, one for each position. Received:.*97"
    with pytest.raises(tf.errors.InvalidArgumentError, match=rule):
        exported["ids"](**ids)
    exported["ids"](**{name: value[:, :96] for name, value in ids.items()})


def test_served_over_grpc_with_defaults(model, directory):
    with serving_server.Server(directory.parent, port=0, rest_api_port=0) as server:
        with serving.Client(server.address) as client:
            expected = model.generate(PROMPTS, Sampling())
            found = client.predict("gpt2", signature="generate", prompts=PROMPTS)
            assert [text.decode() for text in found["texts"]] == expected
            sampling = Sampling(max_length=5, temperature=0.8, top_k=9)
            expected = model.generate(PROMPTS, sampling, seeds=4)
            asked = {"max_length": 5, "temperature": 0.8, "top_k": 9, "seed": 4}
            found = client.predict("gpt2", {"prompts": PROMPTS, **asked}, signature="generate")
            assert [text.decode() for text in found["texts"]] == expected
            words = client.predict("gpt2", signature="next_word", prompts=PROMPTS)
            assert words["tokens"].shape == (3, 5)
            with pytest.raises(ServingError, match="`max_length` must be at least 1"):
                client.predict("gpt2", signature="generate", prompts=PROMPTS, max_length=0)


def test_asked_from_the_command_line_over_both_protocols(model, directory, capsys):
    words = ["gpt2", *PROMPTS, "--signature", "generate", "--input", "max_length=5"]
    expected = model.generate(PROMPTS, Sampling(max_length=5))
    with serving_server.Server(directory.parent, port=0, rest_api_port=0) as server:
        for address in (server.address, f"http://localhost:{server.rest_api_port}"):
            assert cli.main(["predict", address, *words]) == 0
            assert json.loads(capsys.readouterr().out)["texts"] == expected
            assert cli.main(["predict", address, "gpt2", "a", "--signature", "next_word"]) == 0
            assert len(json.loads(capsys.readouterr().out)["tokens"][0]) == 5


def test_the_commands(model, tmp_path, capsys):
    model.save_as_huggingface(tmp_path / "hf")
    preset = str(tmp_path / "preset")
    assert cli.main(["convert", "gpt2", str(tmp_path / "hf"), preset]) == 0
    assert capsys.readouterr().out == f"{preset}\n"
    options = ["--max-length", "6", "--temperature", "0.9", "--top-k", "8", "--seed", "2"]
    assert cli.main(["generate", preset, *PROMPTS[:2], *options]) == 0
    sampling = Sampling(max_length=6, temperature=0.9, top_k=8)
    texts = model.generate(PROMPTS[:2], sampling, seeds=2)
    expected = "".join(p + text + "\n" for p, text in zip(PROMPTS, texts, strict=False))
    assert capsys.readouterr().out == expected
    ids = model.generator(model.preprocessor.prompts(["the"]))["token_ids"].numpy()[0]
    stop = [model.backbone.vocabulary[ids[5]], "he"]
    words = [word for token in stop for word in ("--stop", token)]
    assert cli.main(["generate", preset, "the", *words]) == 0
    (text,) = model.generate(["the"], stop=stop)
    assert text != model.generate(["the"])[0]
    assert capsys.readouterr().out == f"the{text}\n"
    assert cli.main(["generate", preset, "a", "--max-length", "0"]) == 1
    assert "`max_length` must be at least 1" in capsys.readouterr().err


def test_a_preset_of_the_backbone_alone_writes_and_converts(model, tmp_path, capsys):
    preset = str(tmp_path / "preset")
    model.backbone.save_to_preset(preset)
    assert cli.main(["generate", preset, "the", "--max-length", "4"]) == 0
    (text,) = model.generate(["the"], Sampling(max_length=4))
    assert capsys.readouterr().out == f"the{text}\n"
    folder = tmp_path / "hf"
    assert cli.main(["convert", "gpt2", preset, str(folder), "--to", "huggingface"]) == 0
    for weight, again in zip(
        model.weights, GPT2CausalLM.from_checkpoint(folder).weights, strict=True
    ):
        np.testing.assert_array_equal(weight, again)
    loaded = GPT2CausalLM.from_preset(preset, name="lm", backbone={"dropout": 0.3})
    assert (loaded.name, loaded.backbone.dropout) == ("lm", 0.3)
    assert cli.main(["convert", "gpt2", preset, str(tmp_path / "lm")]) == 0
    assert isinstance(GPT2CausalLM.from_preset(tmp_path / "lm"), GPT2CausalLM)
