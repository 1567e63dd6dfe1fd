import gzip
import os

import pytest

from polysemy.recipes.data import corpora, tag_schemes


def test_wnut17(tmp_path):
    folder = tmp_path / "ner/wnut17"
    folder.mkdir(parents=True)
    (folder / "emerging.dev.conll").write_text(
        "#tag\tO\nNew\tB-creative-work\nY\tI-creative-work\n"
    )
    (sentence,) = corpora.sentences("wnut17", tmp_path, "dev", scheme="BIOES")
    assert sentence["tokens"] == ["#tag", "New", "Y"]
    assert sentence["tags"] == ["O", "B-creative-work", "E-creative-work"]


def test_wikigold_is_split_by_document(tmp_path):
    folder = tmp_path / "ner/wikigold"
    folder.mkdir(parents=True)
    text = "-DOCSTART- O\n".join(f"w{n} I-PER\n\n" for n in range(25))
    (folder / "wikigold.conll.txt").write_text(text)
    found = {
        split: [s["tokens"][0] for s in corpora.sentences("wikigold", tmp_path, split)]
        for split in corpora.SPLITS
    }
    assert found["test"] == ["w0", "w10", "w20"]
    assert found["dev"] == ["w1", "w11", "w21"]
    assert sorted(sum(found.values(), []), key=lambda w: int(w[1:])) == [f"w{n}" for n in range(25)]
    first = next(corpora.sentences("wikigold", tmp_path, "test"))
    assert first["tags"] == ["B-PER"]


def test_ewt_tags_are_parts_of_speech(tmp_path):
    folder = tmp_path / "pos_dep/ud_english_ewt"
    folder.mkdir(parents=True)
    line = "1\tGo\tgo\tVERB\tVB\t_\t0\troot\t_\t_\n"
    (folder / "en_ewt-ud-test.conllu.gz").write_bytes(gzip.compress(line.encode()))
    assert next(corpora.sentences("ewt", tmp_path, "test"))["tags"] == ["VERB"]
    assert next(corpora.sentences("ewt_xpos", tmp_path, "test"))["tags"] == ["VB"]


def test_tags_against_the_scheme_name_file_and_sentence(tmp_path):
    folder = tmp_path / "ner/wnut17"
    folder.mkdir(parents=True)
    (folder / "emerging.dev.conll").write_text("a\tO\n\nb\tI-x\n")
    with pytest.raises(ValueError, match="emerging.dev.conll, sentence 1.*'I-x'"):
        list(corpora.sentences("wnut17", tmp_path, "dev"))


def test_errors_come_at_the_call(tmp_path):
    with pytest.raises(ValueError, match="`task.corpus` must be one of.*Nearest: wnut17"):
        corpora.sentences("wnut", tmp_path, "dev")
    with pytest.raises(ValueError, match="`split` must be one of train, dev, test.*'valid'"):
        corpora.sentences("wnut17", tmp_path, "valid")
    with pytest.raises(FileNotFoundError, match="data.root.*emerging.dev.conll"):
        corpora.sentences("wnut17", tmp_path, "dev")


# Sentences, tokens, entities, documents of the published files.
COUNTS = {
    ("wnut17", "train"): (3394, 62730, 1975, 1),
    ("wnut17", "dev"): (1009, 15733, 836, 1),
    ("wnut17", "test"): (1287, 23394, 1079, 1),
    ("wikigold", "train"): (1323, 30599, 2803, 115),
    ("wikigold", "dev"): (153, 3573, 343, 15),
    ("wikigold", "test"): (220, 4835, 412, 15),
    ("crossner_politics", "test"): (651, 27585, 4209, 1),
    ("ewt", "train"): (12544, 204577, 0, 540),
    ("ewt", "dev"): (2001, 25147, 0, 318),
    ("ewt", "test"): (2077, 25094, 0, 316),
    ("wikitext2", "test"): (2891, 241211, 0, 1),
}


@pytest.mark.skipif("POLYSEMY_DATA" not in os.environ, reason="POLYSEMY_DATA names the corpora")
@pytest.mark.parametrize(("name", "split"), COUNTS)
def test_counts_of_the_real_corpora(name, split):
    found = list(corpora.sentences(name, os.environ["POLYSEMY_DATA"], split))
    spans = 0
    if corpora.get(name).scheme:
        spans = sum(len(tag_schemes.tags_to_spans(s["tags"], "BIO")) for s in found)
    tokens = sum(len(s["tokens"]) for s in found)
    documents = len({s["document"] for s in found})
    assert (len(found), tokens, spans, documents) == COUNTS[name, split]
