"""WikiText: headings, documents, sentences."""

import os

import pytest

from polysemy.recipes.data.wikitext import heading_level, read_documents, split_sentences

TEXT = """
 = Homarus gammarus =

 It is a <unk> @-@ like lobster . It weighs 0 @.@ 7 – 1 @,@ 000 kg ( in all . )

 = = Description = =

 " Is it ? " he asked .

 = Empty =

 = = Nothing = =

 = Other =

 a = b
"""


def test_documents(tmp_path):
    path = tmp_path / "wiki.txt"
    path.write_text(TEXT)
    first, second = read_documents(path)
    assert first["title"] == "Homarus gammarus"
    assert [" ".join(sentence) for sentence in first["sentences"]] == [
        "It is a <unk> - like lobster .",
        "It weighs 0 . 7 – 1 , 000 kg ( in all . )",
        '" Is it ? "',
        "he asked .",
    ]
    assert second == {"title": "Other", "sentences": [["a", "=", "b"]]}


def test_headings_and_ends():
    assert heading_level("= = = Deep = = =".split()) == 3
    assert heading_level(["="]) == heading_level("= a".split()) == 0
    assert split_sentences([]) == []
    assert split_sentences("No end".split()) == [["No", "end"]]
    # A quotation that opens behind the point belongs to what follows.
    assert split_sentences('He left . " Why ?'.split()) == [["He", "left", "."], ['"', "Why", "?"]]


@pytest.mark.skipif("POLYSEMY_DATA" not in os.environ, reason="POLYSEMY_DATA names the corpora")
def test_articles_of_the_real_corpus():
    path = os.path.join(os.environ["POLYSEMY_DATA"], "lm/wikitext-2/train.txt.gz")
    documents = list(read_documents(path))
    assert len(documents) == 629
    assert sum(len(d["sentences"]) for d in documents) == 76917
