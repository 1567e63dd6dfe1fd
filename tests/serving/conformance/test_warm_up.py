"""Section 10 of the protocol, warm-up: one test a row, quoted as its docstring."""

import shutil

import pytest
import tensorflow as tf

from polysemy.serving.protos import PredictionLog
from polysemy.serving.server.options import ServerOptions
from polysemy.serving.server.servable import Servable
from polysemy.serving.warmup import MAX_RECORDS, WARMUP_FILE

X = 0.5


def predict_log(x=X, dtype="float32"):
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "any other name"
    request.model_spec.signature_name = "float32"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([x], dtype))
    return log


def examples_log(kind):
    log = PredictionLog()
    request = getattr(log, f"{kind}_log").request
    if kind == "multi_inference":
        for name in ("classify", "regress"):
            task = request.tasks.add(method_name=f"tensorflow/serving/{name}")
            task.model_spec.name = "any other name"
            task.model_spec.signature_name = name
    else:
        request.model_spec.signature_name = kind
    example = request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.append(X)
    return log


@pytest.fixture
def warm_up(models, tmp_path):
    """`warm_up("echo", logs, **flags)`: the number of records that were replayed."""

    def run(name, records, metrics=None, **flags):
        path = tmp_path / name / "1"
        shutil.copytree(models / name / "1", path)
        if records is not None:
            file = path / WARMUP_FILE
            file.parent.mkdir(exist_ok=True)
            with tf.io.TFRecordWriter(str(file)) as writer:
                for record in records:
                    raw = record if isinstance(record, bytes) else record.SerializeToString()
                    writer.write(raw)
        options = ServerOptions(**flags)
        return Servable(name, 1, path, options=options, metrics=metrics).warm_up()

    return run


class Runs:
    """Counts as the server's metrics do."""

    def __init__(self):
        self.apis, self.warmups = [], []

    def runtime(self, model, api, seconds):
        self.apis.append(api)

    def warmup(self, path, seconds, records=0, status_code_name="OK"):
        self.warmups.append((records, status_code_name))


def test_all_kinds_run_in_order(warm_up):
    """TFRecord of `PredictionLog` (predict, classify, regress, multi_inference), in order, once"""
    runs = Runs()
    kinds = ["regress", "classify", "multi_inference"]
    assert warm_up("examples", map(examples_log, kinds), runs) == 3
    assert runs.apis == ["Regress", "Classify", "MultiInference"]
    assert runs.warmups == [(3, "OK")]


def test_model_name_is_not_looked_at(warm_up):
    """The model name in a record is not looked at."""
    assert warm_up("echo", [predict_log()]) == 1


def test_iterations(warm_up):
    """(`--num_request_iterations_for_warmup` if > 0)"""
    runs = Runs()
    assert warm_up("echo", [predict_log()], runs, num_request_iterations_for_warmup=3) == 1
    assert runs.apis == ["Predict"] * 3


def test_no_file_is_fine(warm_up):
    """No file -> fine."""
    assert warm_up("echo", None) == 0


@pytest.mark.parametrize("kind", ["session_run_log", "predict_streamed_log"])
def test_kinds_that_are_not_replayed(warm_up, kind):
    """streamed and session_run are UNIMPLEMENTED"""
    log = PredictionLog()
    getattr(log, kind).SetInParent()
    expected = f"record 0 must run. Received: UNIMPLEMENTED: Unsupported log_type .* {kind}"
    with pytest.raises(ValueError, match=expected):
        warm_up("echo", [log])


def test_failing_record(warm_up):
    """A record that fails when run -> the load fails"""
    runs = Runs()
    with pytest.raises(ValueError, match="record 1 must run. .*INVALID_ARGUMENT: Expects arg"):
        warm_up("echo", [predict_log(), predict_log(dtype="float64")], runs)
    assert runs.warmups == [(0, "UNKNOWN")]


def test_record_that_does_not_parse(warm_up):
    """A record that does not parse -> the load fails"""
    with pytest.raises(ValueError, match="must be a TFRecord of PredictionLog. .*record 1"):
        warm_up("echo", [predict_log(), b"\xff\xff"])


def test_one_record_too_many(warm_up):
    """at most 1000 records; one too many -> the load fails"""
    log = predict_log().SerializeToString()
    with pytest.raises(ValueError, match="must have at most 1000 records"):
        warm_up("echo", [log] * (MAX_RECORDS + 1))


def test_no_tfrecord_is_data_loss(models, tmp_path):
    """Not TFRecord -> DATA_LOSS."""
    path = tmp_path / "1"
    shutil.copytree(models / "echo" / "1", path)
    (path / WARMUP_FILE).parent.mkdir(exist_ok=True)
    (path / WARMUP_FILE).write_bytes(b"not a record, but as long as a header")
    with pytest.raises(ValueError, match="must be a TFRecord") as caught:
        Servable("echo", 1, path).warm_up()
    assert isinstance(caught.value.__cause__, tf.errors.DataLossError)
