"""Published checkpoints in all three formats, and what is refused."""

import json
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from polysemy import cli, zoo
from polysemy.zoo.bert.backbone import Bert
from polysemy.zoo.bert.weights import FORMATS, encoder_parts

TEXTS, PAIRS = ["the cat sat on the mat.", "who?"], ["unaffable", "cats"]


def assert_same(model, other):
    expected = {v.path: keras.ops.convert_to_numpy(v) for v in model.weights}
    found = {v.path: keras.ops.convert_to_numpy(v) for v in other.weights}
    assert set(found) == set(expected)
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value, err_msg=path)


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def their_tensors(model, layout):
    """The weights of a pre-trained model under the names of a format, in its shapes."""
    by_path = {v.path: keras.ops.convert_to_numpy(v) for v in model.weights}
    heads, dim = model.backbone.num_heads, model.backbone.hidden_dim
    tensors = {}
    for part in (*encoder_parts(model.backbone), *model.head_parts):
        for names, target, _, _ in FORMATS[layout](part):
            arrays = np.split(by_path[target], len(names), axis=-1)
            for name, array in zip(names, arrays, strict=True):
                if part.kind == "scores" and layout == "google" and array.ndim == 2:
                    array = array.T
                if layout == "model_garden" and part.kind == "attention":
                    array = array.reshape(*array.shape[:-1], heads, dim // heads)
                if layout == "model_garden" and "attention_output/kernel" in name:
                    array = array.reshape(heads, dim // heads, dim)
                tensors[name] = np.ascontiguousarray(array)
    return tensors


def write_config(folder, bert):
    folder.mkdir()
    config = {
        "vocab_size": bert.vocabulary_size,
        "hidden_size": bert.hidden_dim,
        "num_hidden_layers": bert.num_layers,
        "num_attention_heads": bert.num_heads,
        "intermediate_size": bert.intermediate_dim,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": bert.max_length,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
    }
    (folder / "bert_config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(bert.vocabulary) + "\n")
    return folder


def google_folder(folder, model):
    """Names and layout of google-research/bert, written as TensorFlow 1 did, with its slots."""
    write_config(folder, model.backbone)
    tensors = their_tensors(model, "google")
    tensors["bert/pooler/dense/kernel/adam_m"] = np.zeros((8, 8), "float32")
    tensors["global_step"] = np.int64(7)
    names, values = zip(*tensors.items(), strict=True)
    prefix = str(folder / "bert_model.ckpt")
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=values
    )
    return folder


def garden_folder(folder, model):
    """Objects whose variables have Model Garden's names, with an optimizer's slot and a head."""
    write_config(folder, model.backbone)
    tensors = their_tensors(model, "model_garden")
    pooler = {name: x for name, x in tensors.items() if name.startswith("pooler_transform/")}
    for name, value in pooler.items():
        # The head has the trained pooler; the encoder's is as it was initialized.
        tensors[name] = 0 * value
        tensors[name.replace("pooler_transform", "next_sentence/pooler_dense")] = value
    module = tf.Module()
    module.items = [
        tf.Variable(value, name=("bert/" if "/transform/" in name else "bert_encoder_v2/") + name)
        for name, value in tensors.items()
    ]
    optimizer = tf.Module()
    optimizer.items = [tf.Variable(0.0, name="Adam/m/transformer/layer_0/output/kernel")]
    tf.train.Checkpoint(model=module, optimizer=optimizer).save(str(folder / "bert_model.ckpt"))
    return folder


@pytest.mark.parametrize("write", [google_folder, garden_folder])
def test_tensorflow_checkpoints(write, pretrainer, tmp_path):
    folder = write(tmp_path / "published", pretrainer)
    bert = Bert.from_checkpoint(folder, dropout=0.0)
    assert (bert.activation, bert.lowercase, bert.pooling) == ("gelu_tanh", True, "cls")
    assert bert.dropout == 0.0 and bert.attention_dropout == 0.1
    assert bert.vocabulary == pretrainer.backbone.vocabulary
    assert_same(pretrainer.backbone, bert)
    assert_same(pretrainer, zoo.BertPretrainer.from_checkpoint(folder))
    (prefix,) = (path.with_suffix("") for path in folder.glob("*.index"))
    assert_same(pretrainer.backbone, Bert.from_checkpoint(prefix))


def test_a_tensorflow_checkpoint_that_was_cut(pretrainer, tmp_path):
    folder = google_folder(tmp_path / "published", pretrainer)
    (data,) = folder.glob("*.data-*")
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(ValueError, match="`bert_model.ckpt` must be a whole TensorFlow checkpoint"):
        Bert.from_checkpoint(folder)
    (index,) = folder.glob("*.index")
    index.write_bytes(index.read_bytes()[:10])
    with pytest.raises(ValueError, match="`bert_model.ckpt` must be a whole TensorFlow checkpoint"):
        Bert.from_checkpoint(folder)


def test_google_refuses_what_does_not_fit(pretrainer, tmp_path):
    folder = google_folder(tmp_path / "published", pretrainer)
    edit(folder / "bert_config.json", num_hidden_layers=3, type_vocab_size=3)
    with pytest.raises(ValueError, match="must match the model tensor for tensor") as error:
        Bert.from_checkpoint(folder)
    message = str(error.value)
    assert "missing tensor 'bert/encoder/layer_2/output/dense/kernel'" in message
    assert "tensor 'bert/embeddings/token_type_embeddings' of shape (2, 8) does not fit" in message
    edit(folder / "bert_config.json", num_hidden_layers=1, type_vocab_size=2)
    with pytest.raises(ValueError, match="superfluous tensor 'bert/encoder/layer_1/output/dense/b"):
        Bert.from_checkpoint(folder)
    with pytest.raises(FileNotFoundError, match="`path` must be a folder with `config.json`"):
        Bert.from_checkpoint(tmp_path / "nothing")


def test_hugging_face_round_trip(pretrainer, folder, tmp_path):
    assert_same(pretrainer, zoo.BertPretrainer.from_checkpoint(folder))
    bert = Bert.from_checkpoint(folder)
    assert_same(pretrainer.backbone, bert)
    bert.save_as_huggingface(tmp_path / "bare")
    names = load_file(tmp_path / "bare" / "model.safetensors")
    assert "embeddings.LayerNorm.weight" in names  # as a bare encoder is named
    assert_same(bert, Bert.from_checkpoint(tmp_path / "bare"))
    with pytest.raises(FileExistsError, match="`directory` must be new or empty"):
        bert.save_as_huggingface(tmp_path / "bare")


def test_convert(pretrainer, folder, tmp_path, capsys):
    preset, again = str(tmp_path / "preset"), str(tmp_path / "again")
    assert cli.main(["convert", "bert", str(folder), preset]) == 0
    assert_same(pretrainer.backbone, Bert.from_preset(preset))
    assert cli.main(["convert", "bert", preset, again, "--to", "huggingface"]) == 0
    assert_same(pretrainer.backbone, Bert.from_checkpoint(again))
    assert cli.main(["convert", "bert", str(tmp_path / "nothing"), again]) == 1
    assert "must be a folder with" in capsys.readouterr().err


def test_heads_round_trip(make_bert, fill_weights, tmp_path):
    for name, model in {
        "masked": zoo.BertMaskedLM(make_bert(pooling=None)),
        "classifier": zoo.BertTextClassifier(make_bert(), labels=["no", "yes", "maybe"]),
        "regression": zoo.BertTextClassifier(make_bert(), num_classes=1),
        "tagger": zoo.BertTagger(make_bert(pooling=None), tags=["O", "B-X"]),
        "spans": zoo.BertSpanQA(make_bert(pooling=None)),
    }.items():
        fill_weights(model).save_as_huggingface(tmp_path / name)
        loaded = type(model).from_checkpoint(tmp_path / name)
        assert_same(model, loaded)
        assert getattr(loaded, "labels", None) == (
            ["0"] if name == "regression" else getattr(model, "labels", None)
        )


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda make: zoo.BertTextClassifier(make(pooling="mean"), num_classes=2),
            "`pooling` must be \"cls\" for Hugging Face.*Received: pooling='mean'",
        ),
        (lambda make: make(causal=True), "`causal` must be False .* Received: causal=True"),
        (
            lambda make: zoo.BertMaskedLM(make(causal=True)),
            "`causal` must be False .* Received: causal=True",
        ),
        (
            lambda make: make(activation="tanh"),
            "`activation` must be one of .*'relu'.* Received: activation='tanh'",
        ),
        (
            lambda make: zoo.BertTagger(make(), ["O", "B-X"], head="crf"),
            "`head` must be \"softmax\" .* Received: head='crf'",
        ),
        (
            lambda make: zoo.BertTextClassifier(zoo.BertFeatures(make()), num_classes=2),
            "`backbone` must be a Bert .* Received: a BertFeatures",
        ),
    ],
)
def test_what_hugging_face_has_not_is_not_written(make, message, make_bert, tmp_path):
    model = make(lambda **arguments: make_bert(**{"num_layers": 4, **arguments}))
    with pytest.raises(ValueError, match=message):
        model.save_as_huggingface(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_old_names_buffers_and_shards(pretrainer, folder):
    tensors = load_file(folder / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("Norm.bias", "Norm.beta"): x
        for name, x in tensors.items()
    }
    old["bert.embeddings.position_ids"] = np.arange(40)[None]
    old["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
    names = sorted(old)
    shards = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, inside in shards.items():
        save_file({name: old[name] for name in inside}, folder / file)
    weight_map = {name: file for file, inside in shards.items() for name in inside}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"bert.x": "of an older model"}}))
    assert_same(pretrainer, zoo.BertPretrainer.from_checkpoint(folder))
    index.write_text(json.dumps({"weight_map": weight_map}))
    (folder / "model.safetensors").unlink()
    assert_same(pretrainer, zoo.BertPretrainer.from_checkpoint(folder))
    untied = {**old, "cls.predictions.decoder.weight": 2 * old["cls.predictions.decoder.weight"]}
    for file, inside in shards.items():
        save_file({name: untied[name] for name in inside}, folder / file)
    assert_same(pretrainer.backbone, Bert.from_checkpoint(folder))
    with pytest.raises(ValueError, match="superfluous tensor 'cls.predictions.decoder.weight'"):
        zoo.BertPretrainer.from_checkpoint(folder)
    (folder / "two.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="A part of the weights is not there"):
        Bert.from_checkpoint(folder)


def test_half_precision(pretrainer, folder):
    """PyTorch's bfloat16 and float16 files, the first by their bytes: numpy has no such type."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    header, data = {}, b""
    for i, (name, array) in enumerate(sorted(tensors.items())):
        half = (array.view("uint32") >> 16).astype("uint16")
        kind, part = ("BF16", half.tobytes()) if i % 2 else ("F32", array.tobytes())
        at = [len(data), len(data) + len(part)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": at}
        data += part
    begin = json.dumps(header).encode()
    path.write_bytes(len(begin).to_bytes(8, "little") + begin + data)
    loaded = zoo.BertPretrainer.from_checkpoint(folder)
    pairs = list(zip(pretrainer.weights, loaded.weights, strict=True))
    differences = [np.abs(np.asarray(a) - np.asarray(b)).max() for a, b in pairs]
    assert 0 < max(differences) < 2**-7
    save_file({name: x.astype("float16") for name, x in tensors.items()}, path)
    loaded = zoo.BertPretrainer.from_checkpoint(folder)
    for a, b in zip(pretrainer.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2**-10, atol=1e-6)


def test_pooler_that_is_not_wanted_or_not_there(folder):
    assert Bert.from_checkpoint(folder, pooling="mean").pooling == "mean"
    tensors = load_file(folder / "model.safetensors")
    kept = {name: x for name, x in tensors.items() if "pooler" not in name}
    save_file(kept, folder / "model.safetensors")
    assert Bert.from_checkpoint(folder).pooling is None
    with pytest.raises(ValueError, match=r"missing tensor 'bert.pooler.dense.weight'"):
        Bert.from_checkpoint(folder, pooling="cls")
    with pytest.raises(ValueError, match="`backbone` must have a `pooled_output`"):
        zoo.BertTextClassifier(Bert.from_checkpoint(folder), num_classes=2)


class Opens:
    """What a pickle can do."""

    def __reduce__(self):
        return open, ("/dev/null",)


def test_pickles(pretrainer, folder):
    torch = pytest.importorskip("torch")
    tensors = load_file(folder / "model.safetensors")
    path = folder / "pytorch_model.bin"
    parameters = {name: torch.nn.Parameter(torch.tensor(x)) for name, x in tensors.items()}
    torch.save(parameters, path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="`allow_pickle` must be True to read pytorch_model.bin"):
        Bert.from_checkpoint(folder)
    assert_same(pretrainer.backbone, Bert.from_checkpoint(folder, allow_pickle=True))
    torch.save({"bert.x": Opens()}, path)
    with pytest.raises(ValueError, match="pytorch_model.bin must be .* nothing but tensors"):
        Bert.from_checkpoint(folder, allow_pickle=True)
    for junk in (b"", b"junk", b"\x80\x02junk", pickle.dumps(["no", "tensors"], 2)):
        path.write_bytes(junk)
        with pytest.raises(ValueError, match=r"pytorch_model.bin must be a whole .*hf/pytorch_mod"):
            Bert.from_checkpoint(folder, allow_pickle=True)
