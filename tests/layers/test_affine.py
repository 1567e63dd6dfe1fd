"""`affine` against numpy, whole and in parts."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers.affine import affine, products_in_parts


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("dim", [16, 12, 7])
def test_parts_add_up_to_the_product(dim, dtype):
    rng = np.random.default_rng(0)
    shapes = (2, 1, dim), (dim, 5), (5,), (2, 1, 5)
    x, kernel, bias, residual = (rng.integers(-2, 3, shape) for shape in shapes)
    expected = np.maximum(x @ kernel + bias, 0) + residual
    arguments = [tf.constant(each, dtype) for each in (x, kernel, bias)]

    def operations():
        @tf.function(autograph=False)
        def function(x, kernel, bias):
            return affine(x, kernel, bias, "relu", tf.constant(residual, dtype))

        concrete = function.get_concrete_function(*arguments)
        np.testing.assert_array_equal(tf.cast(concrete(*arguments), tf.float32), expected)
        return {each.type for each in concrete.graph.get_operations()}

    with products_in_parts():
        inside = operations()
    assert ("BatchMatMulV2" in inside) == (dim != 7 and dtype == "float32")
    assert "BatchMatMulV2" not in operations()
