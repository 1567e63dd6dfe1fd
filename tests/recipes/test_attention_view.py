import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from polysemy import cli
from polysemy.recipes.attention_view import AttentionView, attention_view, load_with_attention
from polysemy.zoo import GPT2, Bert, BertTextClassifier
from polysemy.zoo.text.byte_pair_files import vocabulary_of_merges

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "sat", "##s", "</script>"]
SIZE = {"num_layers": 2, "num_heads": 3, "hidden_dim": 12, "max_length": 16}


@pytest.fixture(scope="module")
def bert():
    model = Bert(WORDS, **SIZE, return_attention=True)
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.normal(size=w.shape) / 3 for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def view(bert):
    return attention_view(bert, "A cats sat", "a")


def test_tokens_and_probabilities(bert, view):
    assert view.tokens == ["[CLS]", "a", "cat", "##s", "sat", "[SEP]", "a", "[SEP]"]
    assert view.segments == [0] * 6 + [1] * 2
    assert view.probabilities.shape == (2, 3, 8, 8)
    np.testing.assert_allclose(view.probabilities.sum(-1), 1.0, atol=1e-5)
    expected = bert(bert.preprocessor(["A cats sat"], ["a"]))["attention"]
    np.testing.assert_allclose(view.probabilities, expected[0], atol=1e-6)


def test_padding_is_left_out(bert):
    """A fixed length pads the row; what is shown is the text."""
    padded = Bert(WORDS, **SIZE, return_attention=True, sequence_length=12)
    padded.set_weights(bert.get_weights())
    one, other = (attention_view(model, "a cat") for model in (bert, padded))
    assert one.tokens == other.tokens == ["[CLS]", "a", "cat", "[SEP]"]
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)


def test_layers_and_heads_count_from_one(view):
    np.testing.assert_array_equal(view.matrix(1, 3), view.probabilities[0, 2])
    np.testing.assert_array_equal(view.matrix(head=1), view.probabilities[1, 0])
    np.testing.assert_allclose(view.matrix(1), view.probabilities[0].mean(0))


def test_strongest():
    row = np.array([0.1, 0.7, 0.2])
    made = AttentionView(["a", "b", "c"], [0, 0, 0], np.tile(row, (1, 1, 3, 1)))
    assert made.strongest(count=2)[0] == ("a", [("b", 0.7), ("c", 0.2)])


@pytest.mark.parametrize("layer, head, axes", [(None, None, 4), (1, None, 3), (1, 2, 2)])
def test_data(view, tmp_path, layer, head, axes):
    data = json.loads(view.save(tmp_path / "view.json", layer, head).read_text())
    found = np.array(data["attention"])
    assert found.ndim == axes and data["tokens"] == view.tokens
    expected = view.probabilities[() if axes == 4 else 0 if axes == 3 else (0, 1)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("head", [None, 2])
def test_picture(view, tmp_path, head):
    content = view.save(tmp_path / "view.png", layer=1, head=head).read_bytes()
    assert content.startswith(b"\x89PNG\r\n") and len(content) > 5_000


class Page(HTMLParser):
    """What a page holds: attributes that load something, and its data."""

    def __init__(self):
        super().__init__()
        self.loads, self.data, self.texts, self.inside = [], None, [], None

    def handle_starttag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name in ("src", "href")]
        self.inside = dict(attrs).get("id") if tag == "script" else None

    def handle_data(self, data):
        if self.inside == "data" and data.strip():
            self.data = json.loads(data)
        self.texts.append(data)


def test_page_is_whole_in_itself(bert, tmp_path):
    """Whatever the text is: it must not end the script that holds it, nor become markup."""
    made = attention_view(bert, "a <b> $& cat", "a")
    made = AttentionView([*made.tokens[:-1], "</script>"], made.segments, made.probabilities, "<b>")
    page = Page()
    text = made.save(tmp_path / "view.html", layer=1, head=3).read_text()
    page.feed(text)
    assert page.data is not None and page.data["tokens"] == made.tokens
    assert (page.data["layer"], page.data["head"]) == (1, 3)
    levels = np.frombuffer(base64.b64decode(page.data["levels"]), "uint8")
    levels = levels.reshape(made.probabilities.shape)
    np.testing.assert_allclose(levels / 255, made.probabilities, atol=0.002)
    assert "<b>" in page.texts  # the title, as text
    addresses = set(re.findall(r"\w+://[^\s\"']+", text))
    assert not page.loads and addresses == {"http://www.w3.org/2000/svg"}  # a name of SVG
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp", text)


def test_presets_of_backbones_and_tasks(bert, view, tmp_path):
    bert.save_to_preset(tmp_path / "bert")
    BertTextClassifier(bert, num_classes=2).save_to_preset(tmp_path / "classifier")
    for folder in ("bert", "classifier"):
        loaded = attention_view(load_with_attention(tmp_path / folder), "A cats sat", "a")
        np.testing.assert_allclose(loaded.probabilities, view.probabilities, atol=1e-6)


def test_published_checkpoints(bert, view, tmp_path):
    bert.save_as_huggingface(tmp_path / "bert")
    loaded = attention_view(load_with_attention(tmp_path / "bert"), "A cats sat", "a")
    np.testing.assert_allclose(loaded.probabilities, view.probabilities, atol=1e-6)


def test_left_to_right(tmp_path):
    merges = ["c a", "ca t"]
    vocabulary = vocabulary_of_merges(merges)
    GPT2(vocabulary, merges, **SIZE).save_as_huggingface(tmp_path / "gpt2")
    model = load_with_attention(tmp_path / "gpt2")
    found = attention_view(model, "a cat é")
    assert found.tokens == ["a", " ", "cat", " ", "�", "�"]  # é is two bytes
    assert not np.triu(found.probabilities, 1).any()
    with pytest.raises(ValueError, match="`pair` must be None: GPT2 reads .* pair='b'"):
        attention_view(model, "a", "b")
    with pytest.raises(ValueError, match="`text` must hold at least one token. .*text=''"):
        attention_view(model, "")


def test_special_tokens_alone_attend_to_each_other(bert):
    assert attention_view(bert, "").tokens == ["[CLS]", "[SEP]"]


def test_arguments_are_checked(view, tmp_path):
    with pytest.raises(ValueError, match="`layer` must be between 1 and 2. Received: layer=0"):
        view.matrix(0)
    with pytest.raises(ValueError, match="`head` must be between 1 and 3. Received: head=4"):
        view.save(tmp_path / "view.html", head=4)
    with pytest.raises(ValueError, match="`path` must end in .json, .png or .html. Received:"):
        view.save(tmp_path / "view.pdf")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="`model` must have .* Received: Bert with outputs"):
        attention_view(Bert(WORDS, **SIZE), "a")
    with pytest.raises(ValueError, match="Bert or GPT2. Received: name='elmo_tiny_en'"):
        load_with_attention("elmo_tiny_en")
    with pytest.raises(ValueError, match="Nearest names: .*minilm_l6_en"):
        load_with_attention("minilm_l7_en")


def test_command(bert, view, tmp_path, capsys):
    bert.save_to_preset(tmp_path / "bert")
    arguments = ["attention", str(tmp_path / "bert"), "A cats sat", "a", "--layer", "1"]
    files = [str(tmp_path / name) for name in ("a.json", "a.html")]
    assert cli.main([*arguments, "--head", "2", "--out", files[0], "--out", files[1]]) == 0
    assert capsys.readouterr().out.split() == files
    found = json.loads((tmp_path / "a.json").read_text())["attention"]
    np.testing.assert_allclose(found, view.matrix(1, 2), atol=1e-6)
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(view.tokens) and lines[1].split()[0] == "[CLS]"
    assert cli.main([*arguments[:-1], "7"]) == 1
    assert "`layer` must be between 1 and 2. Received: layer=7" in capsys.readouterr().err
