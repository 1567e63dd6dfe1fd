"""Numbers and strings in JSON."""

import json
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from polysemy.serving.errors import ServingError
from polysemy.serving.server.json_document import depth, parse
from polysemy.serving.server.json_tensors import to_array, to_json
from polysemy.serving.server.rest_predict import from_rows, to_rows


def test_floats_are_short_and_come_back():
    values = np.array([0.1, 1 / 3, 3, 1e-30, 3e38, 123456.7, -1e-45, 0.0, 16777217.0], "float32")
    text = json.dumps(to_json("x", values))
    assert text.startswith("[0.1, 0.333333343, 3.0, 1e-30, 3e+38")
    np.testing.assert_array_equal(np.array(json.loads(text), "float32"), values)
    rng = np.random.default_rng(0)
    values = (rng.standard_normal(10_000) * 10.0 ** rng.integers(-38, 38, 10_000)).astype("float32")
    printed = to_json("x", values)
    np.testing.assert_array_equal(np.array(printed, "float32"), values)
    # At most nine digits, and six where they are enough, as `%g` prints them.
    for value, number in zip(values[:2000], printed[:2000], strict=True):
        six = float(f"{value:.6g}")
        assert number == (six if np.float32(six) == value else float(f"{value:.9g}"))
    assert json.dumps(to_json("x", np.array([np.nan, np.inf, -np.inf], "float32"))) == (
        "[NaN, Infinity, -Infinity]"
    )
    third = np.array(1 / 3)
    assert to_json("x", third) == 1 / 3


def test_other_dtypes_out():
    assert to_json("x", np.array([2**63 - 1], "int64")) == [2**63 - 1]
    assert to_json("x", np.array([[True], [False]])) == [[True], [False]]
    assert to_json("x", np.array([[b"a", b"b"]], object)) == [["a", "b"]]
    assert to_json("x", np.empty((2, 0), object)) == [[], []]
    with pytest.raises(ServingError, match="Failed to write JSON value for tensor type: half"):
        to_json("x", np.array([1.0], "float16"))


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint32", "uint64"])
def test_integers_in_are_exact(dtype):
    top = np.iinfo(dtype).max
    assert to_array([top], tf.as_dtype(dtype)).tolist() == [top]
    if dtype in ("int64", "uint32", "uint64"):
        with pytest.raises(ServingError, match=f"not of expected type: {dtype}"):
            to_array([top + 1], tf.as_dtype(dtype))


def test_floats_too_large_are_infinite():
    assert to_array([1e39, -(10**400)], tf.float32).tolist() == [np.inf, -np.inf]
    assert parse(b'{"x": [NaN, -Infinity]} tail')["x"][1] == -np.inf


def test_dtype_without_json_is_unimplemented_in_columns_and_invalid_in_rows():
    with pytest.raises(ServingError, match="UNIMPLEMENTED"):
        to_array([1.0], tf.float16)
    with pytest.raises(ServingError, match="^INVALID_ARGUMENT.*UNIMPLEMENTED"):
        from_rows([1.0], {"x": tf.float16})


def test_rows_need_one_batch_size():
    with pytest.raises(ServingError, match="Tensor name: b has no shape information"):
        to_rows({"a": np.ones(2), "b": np.ones(())})
    with pytest.raises(ServingError, match="Tensor name: b has inconsistent batch size"):
        to_rows({"a": np.ones(2), "b": np.ones(3)})


def test_depth_is_counted_outside_of_strings():
    assert depth(b"[[1], {}]") == 2
    assert depth(rb'{"a\\": "[[[", "\"[": [1], "b": "\\"}') == 2
    assert depth(b"1") <= 1
    with pytest.raises(ServingError, match="Nested deeper than 3 levels"):
        parse(b'{"a": [[[1]]]}', 3)
    assert parse(b'{"a": [[1]], "b": "[[[[[["}', 3)["a"] == [[1]]


def test_places_of_mistakes_are_bytes():
    with pytest.raises(ServingError, match="at offset: 12"):
        parse('  {"café": }'.encode())
    assert parse(b"\xef\xbb\xbf {}") == {}


def test_rank_beyond_numpys_and_half_a_surrogate_are_refused():
    value = 1.0
    for _ in range(70):
        value = [value]
    with pytest.raises(ServingError, match="Encountered list at unexpected level: 64"):
        to_array(value, tf.float32)
    with pytest.raises(ServingError, match="surrogate pair"):
        to_array(["\ud800"], tf.string)


def test_the_first_mistake_of_a_large_tensor_is_found():
    rows: list[Any] = [[float(i), i] for i in range(10_000)]
    array = to_array(rows, tf.float32)
    assert array.shape == (10_000, 2) and array[-1].tolist() == [9999, 9999]
    rows[5_000] = [1.0, True]
    with pytest.raises(ServingError, match="JSON Value: true Type: Bool is not of expected"):
        to_array(rows, tf.float32)
    rows[5_000] = [1.0]
    with pytest.raises(ServingError, match="size: 1 at level: 1 expected size: 2"):
        to_array(rows, tf.float32)
    rows[5_000] = 7
    with pytest.raises(ServingError, match="Expecting list but got value: 7"):
        to_array(rows, tf.float32)
    with pytest.raises(ServingError, match="JSON Value: 2147483648 Type: Number is not of"):
        to_array([1, 2**31, 3], tf.int32)
