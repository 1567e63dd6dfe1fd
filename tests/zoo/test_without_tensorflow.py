"""Keras's JAX backend where TensorFlow cannot be imported: all files load, numbers agree."""

import json
import os
import subprocess
import sys

import numpy as np

from polysemy import zoo

PROGRAM = """
import json, sys
sys.modules["tensorflow"] = None  # whoever imports it fails
import keras, numpy as np
from polysemy import zoo
assert keras.config.backend() == "jax"
for name, method, path, inputs, outputs in json.loads(sys.argv[1]):
    if method == "load_model":  # whose classes nobody has imported yet
        model = zoo.load_model(path)
    else:
        model = getattr(getattr(zoo, name), method)(path)
    found = model.predict_on_batch(dict(np.load(inputs)))
    found = found if isinstance(found, dict) else {"outputs": found}
    np.savez(outputs, **{name: np.array(x) for name, x in found.items()})
"""
TINY = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "##s", "."]
ELMO = {"filters": [[1, 3], [2, 4]], "hidden_dim": 8, "projection_dim": 4}
ELMO |= {"num_highway_layers": 1, "character_embedding_dim": 4}
IDS = {
    "token_ids": np.array([[5, 6, 7], [8, 0, 0]]),
    "padding_mask": np.array([[1, 1, 1], [1, 0, 0]]),
}


def elmo_preset(path):
    """The biLM comes out of a language model's preset."""
    elmo = zoo.Elmo(**ELMO)
    zoo.ElmoLM(elmo, ["<S>", "</S>", "<UNK>"]).save_to_preset(path)
    return elmo, elmo.preprocessor(["the cat sat", "hello"])


def bert_file(path):
    bert = zoo.Bert(**TINY, vocabulary=WORDS, causal=True)
    bert.save(path)
    return bert, bert.preprocessor(["the cats sat.", "who?"])


def bert_checkpoint(path):
    bert = zoo.Bert(**TINY, vocabulary=WORDS)
    bert.save_as_huggingface(path)
    return bert, bert.preprocessor(["the cats sat.", "who?"])


def classifier_checkpoint(path):
    classifier = zoo.BertTextClassifier(zoo.Bert(**TINY, vocabulary=WORDS), num_classes=3)
    classifier.save_as_huggingface(path)
    return classifier, classifier.preprocessor(["the cats sat.", "who?"])


def gpt2_checkpoint(path):
    gpt2 = zoo.GPT2(**TINY, vocabulary_size=300)
    gpt2.save_as_huggingface(path)
    return gpt2, IDS


JOBS = {
    "elmo": ("Elmo", "from_preset", "folder", elmo_preset),
    "bert": ("Bert", "load_model", "bert.keras", bert_file),
    "bert_checkpoint": ("Bert", "from_checkpoint", "bert", bert_checkpoint),
    "classifier": ("BertTextClassifier", "from_checkpoint", "classifier", classifier_checkpoint),
    "gpt2": ("GPT2", "from_checkpoint", "gpt2", gpt2_checkpoint),
}


def test_outputs_agree(arrays, tmp_path):
    """One process of JAX does all of the jobs."""
    expected, jobs = {}, []
    for job, (name, method, file, make) in JOBS.items():
        model, inputs = make(tmp_path / file)
        found = model(inputs)
        expected[job] = arrays(found if isinstance(found, dict) else {"outputs": found})
        np.savez(tmp_path / f"{job}_inputs.npz", **arrays(inputs))
        paths = [tmp_path / file, tmp_path / f"{job}_inputs.npz", tmp_path / f"{job}_outputs.npz"]
        jobs.append([name, method, *map(str, paths)])
    subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(jobs)],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # they take longer than the run
        },
        check=True,
    )
    for job, arrays_of_job in expected.items():
        found = np.load(tmp_path / f"{job}_outputs.npz")
        assert set(found) == set(arrays_of_job), job
        for name, array in arrays_of_job.items():
            message = f"{job}: {name}"
            np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-5, err_msg=message)
