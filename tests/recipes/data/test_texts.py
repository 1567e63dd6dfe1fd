"""Labeled texts and pairs: formats, splits, bad files, and the counts of the real corpora."""

import gzip
import os
from collections import Counter

import pytest

from polysemy.recipes.data import texts
from polysemy.recipes.data.classification import read_cola, read_sst2, read_trec
from polysemy.recipes.data.pairs import read_mrpc, read_rte, read_snli

RTE = """<?xml version="1.0"?><entailment-corpus>
<pair id="1" entailment="{}" task="IE"><t> Ada &amp; Bo </t><h>Bo</h></pair></entailment-corpus>"""


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_single_texts(write):
    path = write("sst.tsv", "good\tfilm \t1\nbad\t0\n")
    assert list(read_sst2(path)) == [
        {"text": "good\tfilm", "label": "positive"},
        {"text": "bad", "label": "negative"},
    ]
    path = write("trec.txt", "HUM:ind Who was Rémi ?\n".encode("latin-1"))
    assert list(read_trec(path)) == [{"text": "Who was Rémi ?", "label": "HUM"}]
    assert next(read_trec(path, fine=True))["label"] == "HUM:ind"
    path = write("cola.tsv", 'gj04\t0\t*\tThe "dog.\ngj04\t1\t\tA dog.\n')
    assert [e["label"] for e in read_cola(path)] == ["unacceptable", "acceptable"]
    assert next(read_cola(path))["text"] == 'The "dog.'


def test_pairs(write):
    header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
    path = write("mrpc.tsv", header + '1\t7\t8\tHe said "no.\tHe refused.\r\n')
    assert list(read_mrpc(path)) == [
        {"text": 'He said "no.', "pair": "He refused.", "label": "equivalent"}
    ]
    xml = RTE.format("NO").encode()
    for content in (xml, gzip.compress(xml)):
        assert list(read_rte(write("rte.xml", content))) == [
            {"text": "Ada & Bo", "pair": "Bo", "label": "not_entailment"}
        ]
    files = [
        write(f"snli.{i}", content)
        for i, content in enumerate(("a \na \nb\na\n", "w\nx\ny\nz\n", "neutral\n" * 4))
    ]
    found = list(read_snli(*files))
    assert [(e["text"], e["pair"], e["group"]) for e in found] == [
        ("a", "w", 0),
        ("a", "x", 0),
        ("b", "y", 1),
        ("a", "z", 2),
    ]


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_sst2, "a\t1\nb\t2\n", r"file, line 2: 'b\\t2'"),
        (read_trec, "HUM Who?\n", "file, line 1"),
        (read_trec, "HUM:ind\n", "file, line 1"),
        (read_cola, "a\t1\tb\n", "file, line 1"),
        (read_mrpc, "2\t1\t1\ta\tb\n", "file, line 1"),
        (read_rte, "<pair>", "must be an XML file.*file"),
        # Without the time of day: pytest's workers must give the case the same name.
        (read_rte, gzip.compress(b"<pair/>", mtime=0)[:-4], "must be a whole gzip file.*file"),
        (read_rte, RTE.format("MAYBE"), "pair 1: entailment='MAYBE'"),
    ],
)
def test_damaged_files(write, read, content, message):
    path = write("file", content)
    with pytest.raises(ValueError, match=message):
        list(read(path))


def test_files_of_different_lengths(write):
    paths = write("a", "1\n2\n"), write("b", "1\n"), write("c", "1\n2\n")
    with pytest.raises(ValueError, match="must have as many lines.*Received: .*/a, .*/b"):
        list(read_snli(*paths))


def test_a_dev_part_is_held_out_by_groups(write, tmp_path):
    for part, content in (("s1", "a\na\nb\n"), ("s2", "x\ny\nz\n"), ("labels", "neutral\n" * 3)):
        write(f"pairs/snli/{part}.dev", content)
    found = {s: list(texts.examples("snli", tmp_path, s)) for s in ("train", "dev")}
    assert [e["pair"] for e in found["dev"]] == ["x", "y"]
    assert found["train"] == [{"text": "b", "pair": "z", "label": 1}]


def test_errors_of_the_registry(write, tmp_path):
    with pytest.raises(ValueError, match="`task.corpus` must be one of.*'sst'.*Nearest: sst2"):
        texts.examples("sst", tmp_path, "dev")
    with pytest.raises(ValueError, match="`split` must be one of train, dev, test.*'validation'"):
        texts.examples("sst2", tmp_path, "validation")
    with pytest.raises(FileNotFoundError, match="data.root.*sst2/dev.tsv"):
        texts.examples("sst2", tmp_path, "dev")
    write("textcls/sst2/dev.tsv", "")
    with pytest.raises(
        ValueError, match="one example of the dev split of sst2.*none, in .*dev.tsv"
    ):
        list(texts.examples("sst2", tmp_path, "dev"))
    write("textcls/trec/test.txt", "HUN:ind Who ?\n")
    with pytest.raises(ValueError, match="of trec must be one of ABBR.*'HUN'.*example 0"):
        list(texts.examples("trec", tmp_path, "test"))


COUNTS = {
    ("sst2", "train"): (6920, {0: 3310, 1: 3610}),
    ("sst2", "dev"): (872, {0: 428, 1: 444}),
    ("sst2", "test"): (1821, {0: 912, 1: 909}),
    ("trec", "train"): (4997, {0: 81, 1: 1072, 2: 1151, 3: 1109, 4: 756, 5: 828}),
    ("trec", "test"): (500, {0: 9, 1: 138, 2: 94, 3: 65, 4: 81, 5: 113}),
    ("cola", "train"): (8551, {0: 2528, 1: 6023}),
    ("cola", "test"): (516, {0: 162, 1: 354}),
    ("mrpc", "train"): (3576, {0: 1169, 1: 2407}),
    ("mrpc", "test"): (1725, {0: 578, 1: 1147}),
    ("rte", "train"): (1600, {0: 788, 1: 812}),
    ("rte", "test"): (800, {0: 390, 1: 410}),
    ("snli", "dev"): (983, {0: 327, 1: 324, 2: 332}),
    ("snli", "test"): (9824, {0: 3368, 1: 3219, 2: 3237}),
}


@pytest.mark.skipif("POLYSEMY_DATA" not in os.environ, reason="POLYSEMY_DATA names the corpora")
@pytest.mark.parametrize(("name", "split"), COUNTS)
def test_counts_of_the_real_corpora(name, split):
    found = list(texts.examples(name, os.environ["POLYSEMY_DATA"], split))
    assert (len(found), dict(Counter(e["label"] for e in found))) == COUNTS[name, split]
    assert all(e["text"] and bool(e["pair"]) == texts.get(name).is_pair for e in found)
