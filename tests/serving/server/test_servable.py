"""A version that is loaded: exports of TensorFlow 1, odd names, and what becomes of its memory."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from polysemy.serving.errors import ServingError
from polysemy.serving.protos import PredictRequest
from polysemy.serving.server.batching import Batching
from polysemy.serving.server.cancellation import Cancellation
from polysemy.serving.server.config_protos import BatchingParameters
from polysemy.serving.server.options import ServerOptions
from polysemy.serving.server.runners import MAX_FUNCTIONS
from polysemy.serving.server.servable import Servable

v1 = tf.compat.v1


@pytest.fixture(params=["saved_model.pb", "saved_model.pbtxt"])
def version_one(tmp_path, request):
    """A graph of TensorFlow 1 with a variable and a table, and signatures with odd characters, of
    one placeholder twice, without it, of a sparse tensor, and with an operation among the outputs.
    """
    path = tmp_path / "1"
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None], "words")
        scale = v1.get_variable("scale", initializer=3.0, use_resource=True)
        keys, values = tf.constant(["a", "b"]), tf.constant([1.0, 2.0])
        initializer = tf.lookup.KeyValueTensorInitializer(keys, values)
        table = tf.lookup.StaticHashTable(initializer, -1.0)
        scaled = table.lookup(words) * scale
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(path))
        word, value = (v1.saved_model.build_tensor_info(each) for each in (words, scaled))
        pairs = v1.sparse_placeholder(tf.float32)
        total = v1.saved_model.build_tensor_info(v1.sparse_reduce_sum(pairs))
        sparse = v1.saved_model.build_tensor_info(pairs)
        done = type(word)(name=tf.no_op("done").name, dtype=tf.float32.as_datatype_enum)
        signatures = {
            "odd name/1": ({"my words:0": word}, {"scaled-value": value}),
            "twice": ({"a": word, "b": word}, {"y": value}),
            "without": ({}, {"y": value}),
            "sparse": ({"x": sparse}, {"y": total}),
            "operation": ({"x": word}, {"y": value, "done": done}),
        }
        built = {k: v1.saved_model.build_signature_def(*each) for k, each in signatures.items()}
        main_op = v1.tables_initializer()
        builder.add_meta_graph_and_variables(session, ["serve"], built, main_op=main_op)
        builder.save(as_text=request.param.endswith("txt"))
    assert (path / request.param).is_file()
    return path


def predicted(servable, signature, filter=(), **inputs):
    request = PredictRequest(output_filter=filter)
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return servable.predict(request).message.outputs


@pytest.mark.filterwarnings("ignore")
def test_exports_of_tensorflow_1(version_one):
    servable = Servable("old", 1, version_one)
    outputs = predicted(servable, "odd name/1", **{"my words:0": ["b", "c"]})
    assert list(outputs["scaled-value"].float_val) == [6.0, -3.0]
    assert list(predicted(servable, "operation", ["y"], x=["b"])["y"].float_val) == [6.0]
    refused = r"^INVALID_ARGUMENT: Serving signature key \"{}\" cannot be run: {}"
    with pytest.raises(ServingError, match=refused.format("twice", ".*words:0 appears more than")):
        predicted(servable, "twice", a=["a"], b=["b"])
    with pytest.raises(ServingError, match=refused.format("without", ".*placeholder")):
        predicted(servable, "without")
    with pytest.raises(ServingError, match=refused.format("sparse", 'its input "x" is no dense')):
        predicted(servable, "sparse", x=[1.0])
    with pytest.raises(ServingError, match='The output "done" .* is no dense tensor and cannot'):
        predicted(servable, "operation", x=["b"])


def test_ragged_outputs_cannot_be_sent(tmp_path):
    function = tf.function(lambda x: {"words": tf.strings.split(x), "n": tf.strings.length(x)})
    spec = tf.TensorSpec([None], tf.string, "x")
    signature = function.get_concrete_function(x=spec)
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures=signature)
    servable = Servable("x", 1, tmp_path)
    for filter in (), ["words"]:
        with pytest.raises(ServingError, match='^INVALID_ARGUMENT: The output "words" of the sig'):
            predicted(servable, "", filter, x=["a bc", "d"])
    assert list(predicted(servable, "", ["n"], x=["a bc", "d"])["n"].int_val) == [4, 1]


def test_tags_choose_the_graph(tmp_path):
    function = tf.function(lambda: {"y": tf.constant(1)}).get_concrete_function()
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures=function)
    with pytest.raises(ValueError, match="with the tag 'serve' and 'gpu'. Received"):
        Servable("x", 1, tmp_path, options=ServerOptions(saved_model_tags="serve,gpu"))


def test_output_filters_make_no_end_of_functions(tmp_path):
    """Clients choose among 2^12 sets of outputs; each of those costs memory."""
    names = [f"y{i}" for i in range(12)]
    spec = tf.TensorSpec([None], tf.float32, "x")
    function = tf.function(lambda x: {name: x + i for i, name in enumerate(names)})
    signature = function.get_concrete_function(x=spec)
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures=signature)
    servable = Servable("x", 1, tmp_path)
    request = PredictRequest()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
    for number in range(1, MAX_FUNCTIONS + 5):
        wanted = [name for i, name in enumerate(names) if number >> i & 1]
        request.output_filter[:] = wanted
        answer = servable.predict(request).message
        assert sorted(answer.outputs) == sorted(wanted)
        assert all(answer.outputs[f].float_val[0] == 1 + int(f[1:]) for f in wanted)
    assert len(servable._runners._made) <= MAX_FUNCTIONS + 1


@pytest.mark.parametrize("dtype", [tf.qint8, tf.quint8, tf.qint32], ids=lambda dtype: dtype.name)
def test_quantized_inputs(tmp_path, dtype):
    """Numbers that arrays have only as integers keep their kind on the way into the graph."""
    plain = tf.as_dtype(dtype.name.removeprefix("q"))
    spec = tf.TensorSpec([None, 2], dtype, "x")
    function = tf.function(lambda x: {"y": tf.bitcast(x, plain)}).get_concrete_function(spec)
    tf.saved_model.save(tf.Module(), str(tmp_path), signatures=function)
    servable = Servable("x", 1, tmp_path)
    proto = tf.make_tensor_proto([[1, 2]], plain)
    proto.dtype = dtype.as_datatype_enum
    request = PredictRequest()
    request.inputs["x"].CopyFrom(proto)
    assert tf.make_ndarray(servable.predict(request).message.outputs["y"]).tolist() == [[1, 2]]
    request.inputs["x"].dtype = plain.as_datatype_enum
    with pytest.raises(ServingError, match=f"to be {dtype.name} but {plain.name} is provided"):
        servable.predict(request)


@pytest.mark.parametrize("before", [True, False])
def test_a_cancelled_run_never_begins_or_stops(before):
    """Cancelled before the runtime asks for what stops it, and after."""
    cancellation = Cancellation()
    if not before:
        assert not cancellation.manager.is_cancelled
    cancellation.cancel()
    assert cancellation.cancelled and cancellation.manager.is_cancelled


@pytest.mark.parametrize("batching", [False, True])
def test_unloading_frees_the_variables(tmp_path, batching):
    module = tf.Module()
    module.v = tf.Variable(tf.zeros(10))
    spec = tf.TensorSpec([None], tf.float32, "x")
    function = tf.function(lambda x: {"y": x + module.v[0]}).get_concrete_function(x=spec)
    tf.saved_model.save(module, str(tmp_path), signatures=function)
    servable = Servable("x", 1, tmp_path, BatchingParameters() if batching else None)
    servable.run("serving_default", {"x": np.zeros(1, "f")})
    kept = weakref.ref(servable._loaded.v)
    assert kept() is not None
    servable.unload()
    gc.collect()
    assert kept() is None


def test_batching_parameters_have_tensorflow_servings_defaults():
    batching = Batching()
    assert (batching.max_batch_size, batching.batch_timeout_micros) == (1000, 0)
    assert batching.max_enqueued_batches == 10 and batching.execution_sizes == []
