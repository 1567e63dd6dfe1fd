import pytest

from polysemy.recipes.data.conllu import read_conllu


def row(index, form, head, deprel, upos="X"):
    return f"{index}\t{form}\t{form.lower()}\t{upos}\tXP\tA=b\t{head}\t{deprel}\t_\t_"


TEXT = "\n".join(
    [
        "# newdoc id = one",
        "# text = Don't go",
        row("1-2", "Don't", "_", "_"),
        row(1, "Do", 3, "aux", "AUX"),
        row(2, "n't", 3, "advmod", "PART"),
        row(3, "go", 0, "root", "VERB"),
        row("3.1", "gone", "_", "_"),
        "",
        "# newdoc",
        row(1, "New York", 0, "root", "PROPN"),
    ]
)


def test_words_only(tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text(TEXT)
    first, second = read_conllu(path)
    assert first == {
        "tokens": ["Do", "n't", "go"],
        "lemmas": ["do", "n't", "go"],
        "upos": ["AUX", "PART", "VERB"],
        "xpos": ["XP"] * 3,
        "feats": ["A=b"] * 3,
        "heads": [3, 3, 0],
        "deprels": ["aux", "advmod", "root"],
        "document": 0,
        "text": "Don't go",
    }
    assert (second["tokens"], second["document"], second["text"]) == (["New York"], 1, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\ta\tb\n", "line 1: a line must have 10 columns.*Received: 3"),
        (row(1, "a", 0, "root") + "\n" + row(3, "b", 1, "x"), "line 2: the word's id must be 2"),
        (row(1, "a", 7, "x") + "\n", "HEAD must be a word.*'7' for word 1 of 1"),
        (row(1, "a", 1, "x") + "\n", "HEAD must be"),
        (row(1, "a", "x", "x") + "\n", "'x' for word 1"),
    ],
)
def test_damaged_files(tmp_path, text, message):
    path = tmp_path / "a.conllu"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        list(read_conllu(path))


def test_heads_left_out(tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text(row(1, "a", "_", "_"))
    assert next(read_conllu(path))["heads"] == [-1]
