"""The clients' own messages are TensorFlow Serving's on the wire."""

import importlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format

from polysemy.serving import client_protos, protos
from polysemy.serving.client_tensors import as_arrays, from_proto, to_proto

MODULES = [
    "tensorflow.core.framework.tensor_pb2",
    "tensorflow.core.protobuf.saved_model_pb2",
    "tensorflow_serving.apis.predict_pb2",
    "tensorflow_serving.apis.get_model_metadata_pb2",
    "tensorflow_serving.apis.get_model_status_pb2",
]


def originals():
    """The messages of the installed wheels, by full name."""
    found: dict[str, Any] = {}
    todo = [importlib.import_module(name).DESCRIPTOR for name in MODULES]
    while todo:
        file = todo.pop()
        todo += [each for each in file.dependencies if each.package.startswith("tensorflow")]
        nested = list(file.message_types_by_name.values())
        while nested:
            message = nested.pop()
            found[message.full_name] = message
            nested += message.nested_types
    return found


@pytest.fixture(scope="module")
def known():
    return originals()


@pytest.mark.parametrize("name", client_protos.MESSAGES)
def test_fields_are_those_of_the_wheel(known, name):
    ours, theirs = client_protos.message_class(name).DESCRIPTOR, known[name]
    assert ours is not theirs and ours.fields
    for field in ours.fields:
        original = theirs.fields_by_name[field.name]
        kind = field.TYPE_INT32 if original.type == original.TYPE_ENUM else original.type
        assert (field.number, field.type) == (original.number, kind), field.name
        assert field.is_repeated == original.is_repeated
        if field.message_type is not None:
            assert field.message_type.full_name == original.message_type.full_name
            assert (
                field.message_type.GetOptions().map_entry
                == original.message_type.GetOptions().map_entry
            )
        if field.containing_oneof is not None:
            assert field.containing_oneof.name == original.containing_oneof.name


def test_requests_are_read_by_the_wheels_messages():
    request = client_protos.PredictRequest(output_filter=["y"])
    request.model_spec.name = "m"
    request.model_spec.version.value = 0
    request.inputs["x"].CopyFrom(to_proto(np.array([[1, 2]], np.int32)))
    theirs = protos.PredictRequest.FromString(request.SerializeToString())
    assert theirs.model_spec.WhichOneof("version_choice") == "version"
    assert json_format.MessageToDict(theirs)["outputFilter"] == ["y"]
    np.testing.assert_array_equal(tf.make_ndarray(theirs.inputs["x"]), [[1, 2]])


DTYPES = ["float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8"]
DTYPES += ["uint16", "uint32", "uint64", "bool", "complex64", "complex128"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_pass_both_ways(dtype):
    dtype = tf.as_dtype(dtype)
    array = np.array([[0, 1, 1], [3, 1, 0]]).astype(dtype.as_numpy_dtype)
    theirs = protos.TensorProto.FromString(to_proto(array).SerializeToString())
    assert theirs.dtype == dtype.as_datatype_enum
    np.testing.assert_array_equal(tf.make_ndarray(theirs), array)
    typed = protos.TensorProto(dtype=theirs.dtype, tensor_shape=theirs.tensor_shape)
    fields = {"float16": "half_val", "bfloat16": "half_val", "float32": "float_val"}
    fields |= {"float64": "double_val", "int64": "int64_val", "bool": "bool_val"}
    fields |= {"uint32": "uint32_val", "uint64": "uint64_val"}
    fields |= {"complex64": "scomplex_val", "complex128": "dcomplex_val"}
    values: Any = array.ravel()
    if dtype.name in ("float16", "bfloat16"):
        values = values.view(np.uint16)
    elif dtype.is_complex:
        values = np.stack([values.real, values.imag], 1).ravel()
    getattr(typed, fields.get(dtype.name, "int_val")).extend(values.tolist())
    for proto in (theirs, typed):
        found = from_proto(client_protos.TensorProto.FromString(proto.SerializeToString()))
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_few_values_repeat_and_none_are_zero():
    for values, expected in [([7, 8], [7, 8, 8]), ([], [0, 0, 0])]:
        proto = client_protos.TensorProto(dtype=3, int_val=values)
        proto.tensor_shape.dim.add(size=3)
        assert from_proto(proto).tolist() == expected
    proto = client_protos.TensorProto(dtype=7)
    proto.tensor_shape.dim.add(size=1)
    assert from_proto(proto).tolist() == [b""]
    proto.string_val.extend([b"a", b"b"])
    with pytest.raises(ValueError, match=r"2 values for a tensor of shape \(1,\)"):
        from_proto(proto)
    with pytest.raises(ValueError, match="tensor of unknown dtype 99"):
        from_proto(client_protos.TensorProto(dtype=99))


def test_python_values_become_the_dtypes_of_models():
    arrays = as_arrays(
        {
            "ints": [1, 2],
            "large": [1 << 40],
            "floats": [0.5],
            "bools": [True],
            "text": [["é", b"\0"], ["a", b"\xff"]],
            "typed": np.array([0.5]),
            "numpy_text": np.array(["é"]),
            "scalar": "x",
        }
    )
    kinds = {name: array.dtype.name for name, array in arrays.items()}
    assert [kinds[name] for name in ("ints", "large", "floats", "bools", "typed")] == [
        *("int32", "int64", "float32", "bool", "float64"),
    ]
    assert arrays["text"].tolist() == [["é".encode(), b"\0"], [b"a", b"\xff"]]
    assert arrays["numpy_text"].tolist() == ["é".encode()]
    assert arrays["scalar"].shape == () and arrays["scalar"].item() == b"x"
    with pytest.raises(ValueError, match="`x` must be numbers, bools or strings.*datetime64"):
        as_arrays({"x": np.array(["2020-01-01"], "datetime64[D]")})
