"""The command `predict`: what it sends, and how it says what a signature wants."""

import io
import json
import sys

import numpy as np
import pytest

from polysemy import cli


@pytest.fixture
def asked(monkeypatch):
    """What `polysemy predict` sends to a server that has these signatures."""
    from polysemy.serving.client_tensors import TensorInfo

    rows, number = TensorInfo("string", (None,)), TensorInfo("int32", (), optional=True)
    inputs = {
        "s": {"sentences": rows},
        "generate": {
            "max_length": number,
            "prompts": rows,
            "temperature": TensorInfo("float32", (), optional=True),
        },
        "answer": {"contexts": rows, "questions": rows},
        "ids": {
            "padding_mask": TensorInfo("bool", (None, None)),
            "token_ids": TensorInfo("int32", (None, None)),
        },
        "flags": {"flag": TensorInfo("bool", None), "words": TensorInfo("string", (None, None))},
        "init": {},
    }
    calls = []

    def predict(self, *given, **named):
        calls.append((self.address, *given, named))
        return {"tags": np.array([[b"O"]], object)}

    signatures = {name: {"inputs": each, "outputs": {}} for name, each in inputs.items()}
    monkeypatch.setattr("polysemy.serving.client.Client.predict", predict)
    monkeypatch.setattr("polysemy.serving.client.Client.metadata", lambda *given: signatures)
    return calls


def test_predict_sends_the_texts_and_prints_json(asked, capsys):
    assert cli.main(["predict", "localhost:1", "ner", "a b", "c", "--signature", "s"]) == 0
    sentences = {"sentences": ["a b", "c"]}
    assert asked == [("localhost:1", "ner", sentences, {"signature": "s"})]
    assert json.loads(capsys.readouterr().out) == {"tags": [["O"]]}


def test_a_dash_is_the_lines_of_standard_input(asked, monkeypatch):
    lines = io.TextIOWrapper(io.BytesIO("a b\n\ncafé\n".encode()))
    monkeypatch.setattr(sys, "stdin", lines)
    assert cli.main(["predict", "localhost:1", "ner", "-", "--signature", "s"]) == 0
    assert asked[0][2] == {"sentences": ["a b", "", "café"]}


@pytest.mark.parametrize(
    "signature, words, sent",
    [
        (
            "generate",
            ["a", "b=c", "--input", "max_length=4", "--input", "temperature=1"],
            {"prompts": ["a", "b=c"], "max_length": np.int32(4), "temperature": np.float32(1)},
        ),
        ("generate", ["--input", "prompts=a=b"], {"prompts": ["a=b"]}),
        (
            "answer",
            ["--input", "questions=q", "--input", "contexts=c", "--input", "questions=r"],
            {"questions": ["q", "r"], "contexts": ["c"]},
        ),
        ("answer", ["c", "--input", "questions=q"], {"questions": ["q"], "contexts": ["c"]}),
        (
            "ids",
            [*("--input", "token_ids=[1, 2]"), *("--input", "padding_mask=[true, false]")],
            {
                "token_ids": np.array([[1, 2]], "int32"),
                "padding_mask": np.array([[True, False]]),
            },
        ),
        (
            "flags",
            [*("--input", "flag=True"), *("--input", "flag=0"), *("--input", 'words=["a", "b"]')],
            {"flag": np.array([True, False]), "words": [["a", "b"]]},
        ),
    ],
)
def test_predict_casts_inputs_as_the_signature_says(asked, signature, words, sent):
    assert cli.main(["predict", "localhost:1", "m", *words, "--signature", signature]) == 0
    ((_, _, inputs, _),) = asked
    assert list(map(str, inputs)) == list(inputs) and set(inputs) == set(sent)
    for name, value in sent.items():
        if isinstance(value, list):
            assert inputs[name] == value
        else:
            assert inputs[name].dtype == value.dtype
            np.testing.assert_array_equal(inputs[name], value, strict=True)


GENERATE = (
    "The inputs of `generate` are prompts (rows of string), max_length (int32, optional), "
    "temperature (float32, optional)."
)


@pytest.mark.parametrize(
    "signature, words, message",
    [
        ("generate", ["--input", "x"], f"`--input` must be NAME=VALUE. {GENERATE}"),
        ("generate", ["--input", "top=1"], f"{GENERATE} Received: --input top=1"),
        ("generate", [], f"{GENERATE} Missing: ['prompts']"),
        ("generate", ["a", "--input", "max_length=x"], "`max_length` must be int32."),
        ("generate", ["a", "--input", "max_length=1.5"], "Received: max_length=['1.5']"),
        ("generate", ["a", "--input", "max_length=99999999999"], "`max_length` must be int32."),
        ("generate", ["a", *(["--input", "max_length=1"] * 2)], "`max_length` must be given once."),
        ("generate", ["a", "--input", "prompts=b"], "Received: TEXT for none"),
        ("answer", ["a"], "Received: TEXT for contexts, questions"),
        ("ids", ["a"], "Received: TEXT for none"),
        ("ids", ["--input", "token_ids=1", "--input", "padding_mask=[]"], "a JSON list of int32"),
        ("ids", ["--input", "token_ids=[1.5]", "--input", "padding_mask=[]"], "a JSON list of"),
        ("flags", ["--input", "flag=perhaps", "--input", "words=[]"], "`flag` must be bool."),
        ("flags", ["--input", "flag=1", "--input", "words=[1]"], "list of string in each row"),
        ("none", ["a"], "must be one of ['answer', 'flags', 'generate', 'ids', 's']. Received: "),
    ],
)
def test_predict_says_what_the_signature_wants(asked, signature, words, message, capsys):
    assert cli.main(["predict", "localhost:1", "m", *words, "--signature", signature]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Error: ") and err.count("\n") == 1 and message in err, err
    assert not asked


@pytest.mark.parametrize("address", ["localhost:1", "http://localhost:1"])
def test_predict_says_that_nobody_listens(address, capsys, monkeypatch):
    from polysemy.serving.client_retry import Retry

    monkeypatch.setattr("polysemy.serving.client_base.Retry", lambda: Retry(attempts=1))
    assert cli.main(["predict", address, "ner", "a"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"Error: {address}: UNAVAILABLE: ") and err.count("\n") == 1
