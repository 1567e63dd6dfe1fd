"""Warm-up files: written by export, read by servers."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.serving import warmup


def test_export_writes_one_request_a_signature(models, sentences):
    assert not (models / "toy" / "1" / warmup.WARMUP_FILE).exists()
    requests = [log.predict_log.request for log in warmup.read_warmup(models / "toy" / "3")]
    by_signature = {request.model_spec.signature_name: request for request in requests}
    assert set(by_signature) == {"serving_default", "tokens", "ids"}
    assert {request.model_spec.name for request in requests} == {"toy"}
    sent = tf.make_ndarray(by_signature["serving_default"].inputs["sentences"])
    assert [sentence.decode() for sentence in sent] == sentences
    lengths = tf.make_ndarray(by_signature["tokens"].inputs["sequence_len"])
    assert lengths.dtype == np.int32 and lengths.tolist() == [5, 4, 1, 0]


def test_a_file_that_is_no_tfrecord_is_named(tmp_path):
    path = tmp_path / warmup.WARMUP_FILE
    path.parent.mkdir()
    path.write_bytes(b"no record at all, but long enough for a header")
    with pytest.raises(ValueError, match="must be a TFRecord of PredictionLog"):
        list(warmup.read_warmup(tmp_path))


def test_too_many_requests_are_refused_at_writing_and_reading(tmp_path, monkeypatch):
    requests = [("serving_default", {"sentences": ["a"]})] * 3
    warmup.write_warmup(tmp_path, requests, model="m")
    monkeypatch.setattr(warmup, "MAX_RECORDS", 2)
    with pytest.raises(ValueError, match="at most 2"):
        list(warmup.read_warmup(tmp_path))
    with pytest.raises(ValueError, match="at most 2.*Received: 3 requests"):
        warmup.write_warmup(tmp_path, requests, model="m")
