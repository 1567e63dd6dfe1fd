"""Vectors of a corpus: every line accounted for, resumed by shard, the model's own numbers."""

import base64
import gzip
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("apache_beam")
parquet = pytest.importorskip("pyarrow.parquet")

from polysemy.serving.beam import Embedding, embed  # noqa: E402, not before it is known to be there

LINES = [f"word{i} " * (1 + i % 4) for i in range(23)]


class Lengths(tf.Module):
    """Each word becomes (its length, its place); refuses "fail"."""

    def __init__(self):
        super().__init__()
        self.scale = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "sentences")])
    def encode(self, sentences):
        with tf.control_dependencies(
            [tf.debugging.assert_none_equal(sentences, "fail", message="cannot read this")]
        ):
            words = tf.strings.split(sentences)
        lengths = tf.cast(tf.strings.length(words).to_tensor(), tf.float32) * self.scale
        places = tf.cast(tf.range(tf.shape(lengths)[1]), tf.float32) * tf.ones_like(lengths)
        mask = tf.sequence_mask(words.row_lengths())
        output = tf.stack([lengths, places], axis=-1)
        return {"sequence_output": output, "mask": tf.cast(mask, tf.int32), "sum": output[:, 0, 0]}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("model") / "1")
    module = Lengths()
    tf.saved_model.save(module, path, signatures=module.encode)
    return path


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    (folder / "b").mkdir(parents=True)
    with gzip.open(folder / "a.txt.gz", "wt") as file:
        file.write("\n".join(LINES) + "\n")
    (folder / "b" / "a.txt").write_bytes(
        b"one two\n\n \xff\xfe\nfail\n" + b"x" * 70_000 + b"\nlast"
    )
    return folder


def rows_of(folder):
    tables = [parquet.read_table(path).to_pylist() for path in sorted(folder.glob("*.parquet"))]
    return [row for table in tables for row in table]


def bad_of(folder):
    texts = [path.read_text() for path in sorted(folder.glob("bad_lines/*.jsonl"))]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_each_line_has_its_vectors(model, corpus, tmp_path):
    out = tmp_path / "vectors"
    counts = embed(Embedding(model, f"{corpus}/*.gz", str(out), lines_per_shard=10, batch_size=4))
    rows = rows_of(out)
    assert [(row["file"], row["line"], row["text"]) for row in rows] == [
        ("a.txt.gz", i + 1, line.strip()) for i, line in enumerate(LINES)
    ]
    for row in rows:
        words = row["text"].split()
        expected = [[2.0 * len(word), float(place)] for place, word in enumerate(words)]
        assert row["sequence_output"] == expected  # no padding, whatever shared its batch
        assert row["tokens"] == len(words)
    tokens = sum(len(line.split()) for line in LINES)
    assert counts == {
        "shards": 3,
        "shards_done_before": 0,
        "lines": 23,
        "sentences": 23,
        "tokens": tokens,
        "blank_lines": 0,
        "failures": 0,
    }


def test_nothing_is_lost(model, corpus, tmp_path):
    out = tmp_path / "vectors"
    counts = embed(Embedding(model, f"{corpus}/b/*", str(out), batch_size=4))
    assert [(row["line"], row["text"]) for row in rows_of(out)] == [(1, "one two"), (6, "last")]
    bad = bad_of(out)
    assert [each["line"] for each in bad] == [3, 4, 5]
    assert "not UTF-8" in bad[0]["reason"]
    assert "cannot read this" in bad[1]["reason"]
    assert "70000 bytes" in bad[2]["reason"]
    assert base64.b64decode(bad[0]["raw"]) == b" \xff\xfe"
    assert bad[0]["path"] == str(corpus / "b" / "a.txt")
    assert (counts["lines"], counts["sentences"], counts["blank_lines"], counts["failures"]) == (
        6, 2, 1, 3,
    )  # fmt: skip


def test_what_is_done_is_not_done_again(model, corpus, tmp_path):
    out = tmp_path / "vectors"
    embedding = Embedding(model, f"{corpus}/*.gz", str(out), lines_per_shard=10)
    embed(embedding)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    lost = sorted(before)[1]
    lost.unlink()
    counts = embed(embedding)
    assert (counts["shards"], counts["shards_done_before"]) == (1, 2)
    assert len(rows_of(out)) == 23
    assert all(path.stat().st_mtime_ns == when for path, when in before.items() if path != lost)


def test_tfrecord_has_the_same(model, corpus, tmp_path):
    out = tmp_path / "vectors"
    outputs = ("sequence_output", "sum", "mask")
    embed(Embedding(model, f"{corpus}/*.gz", str(out), outputs=outputs, file_format="tfrecord"))
    (path,) = out.glob("*.tfrecord")
    records = [tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
    assert len(records) == 23
    feature = records[2].features.feature
    assert feature["text"].bytes_list.value[0] == b"word2 word2 word2"
    shape = feature["sequence_output_shape"].int64_list.value
    values = np.reshape(feature["sequence_output"].float_list.value, shape)
    np.testing.assert_array_equal(values, [[10, 0], [10, 1], [10, 2]])
    assert list(feature["sum"].float_list.value) == [10.0]
    assert list(feature["mask"].int64_list.value) == [1, 1, 1]


def test_a_killed_run_goes_on(model, corpus, tmp_path):
    """Killed by SIGKILL after its first shard; the same command then completes."""
    out = tmp_path / "vectors"
    many = corpus / "many.txt"
    many.write_text("".join(f"line {i}\n" for i in range(4000)))
    command = [
        *(sys.executable, "-m", "polysemy.cli", "embed", model),
        *("--input", str(many), "--output", str(out), "--lines-per-shard", "10"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not list(out.glob("*.parquet")) and process.poll() is None:
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = len(list(out.glob("*.parquet")))
    assert 0 < done < 400
    embedding = Embedding(model, str(many), str(out), lines_per_shard=10)
    counts = embed(embedding)
    assert counts["shards_done_before"] == done and counts["shards"] == 400 - done
    assert sorted(row["line"] for row in rows_of(out)) == list(range(1, 4001))


def test_the_newest_version_is_taken(model, tmp_path):
    folder = os.path.dirname(model)
    assert Embedding(folder, "x", "y").model == model
    assert Embedding(model, "x", "y").model == model


def test_mistakes_are_named(model, corpus, tmp_path):
    out = str(tmp_path / "vectors")
    with pytest.raises(ValueError, match=r"`input` must match .* Received: input='/nowhere"):
        embed(Embedding(model, "/nowhere/*.txt", out))
    with pytest.raises(ValueError, match="`file_format` must be one of parquet, tfrecord"):
        Embedding(model, "x", out, file_format="csv")
    with pytest.raises(ValueError, match="`batch_size` must be at least 1. Received: batch_size=0"):
        Embedding(model, "x", out, batch_size=0)
    with pytest.raises(Exception, match="`signature` must be one of"):
        embed(Embedding(model, f"{corpus}/*.gz", out, signature="nothing"))
    with pytest.raises(ValueError, match="signature: 'nothing' there, 'serving_default' now"):
        embed(Embedding(model, f"{corpus}/*.gz", out))
    with pytest.raises(Exception, match="`outputs` must be of .* Received: elmo"):
        embed(Embedding(model, f"{corpus}/*.gz", out + "2", outputs=("elmo",)))
