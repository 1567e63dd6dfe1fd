"""First values of weights: in place, shared, or none."""

import keras
import numpy as np
import pytest
from keras import ops
from tensorflow.python.eager.polymorphic_function import polymorphic_function

from polysemy.layers import initializers
from polysemy.layers.feed_forward import FeedForward
from polysemy.layers.initializers import first_values, weights_without_values, without_values
from polysemy.layers.table_initializer import TableInitializer

RANDOM = {
    "normal": keras.initializers.RandomNormal(mean=0.1, stddev=0.02, seed=3),
    "truncated": keras.initializers.TruncatedNormal(stddev=0.02, seed=3),
    "uniform": keras.initializers.RandomUniform(-2.0, 1.0, seed=3),
    "glorot": keras.initializers.GlorotUniform(seed=3),
    "zeros": keras.initializers.Zeros(),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", RANDOM)
def test_a_table_has_the_other_initializers_values(name, dtype):
    values = TableInitializer(RANDOM[name])((70, 9), dtype=dtype)
    expected = RANDOM[name]((70, 9), dtype=dtype)
    assert keras.backend.standardize_dtype(values.dtype) == dtype
    assert tuple(values.shape) == (70, 9)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(ops.cast(values, "float32")),
        ops.convert_to_numpy(ops.cast(expected, "float32")),
    )


def test_a_table_draws_as_often_as_the_other_initializer():
    tables = []
    for wrap in (TableInitializer, lambda initializer: initializer):
        keras.utils.set_random_seed(5)
        draw = wrap(keras.initializers.RandomNormal(seed=keras.random.SeedGenerator(2)))
        tables.append(np.stack([draw((4, 3)), draw((4, 3))]))
    np.testing.assert_array_equal(*tables)
    assert not np.array_equal(tables[0][0], tables[0][1])


def test_many_tables_are_drawn_without_a_warning(caplog, monkeypatch):
    # Each place in a program is warned of twice: other tests may have had that.
    fresh = type(polymorphic_function._frequent_tracing_detector_manager)()
    monkeypatch.setattr(polymorphic_function, "_frequent_tracing_detector_manager", fresh)
    for words in range(2, 10):
        assert TableInitializer("random_normal")((words, 4)).shape == (words, 4)
    assert "retracing" not in caplog.text


def test_a_table_initializer_survives_its_configuration():
    table = TableInitializer(RANDOM["truncated"])
    config = keras.initializers.serialize(table)
    again = keras.initializers.deserialize(config)
    np.testing.assert_array_equal(again((5, 2)), table((5, 2)))
    np.testing.assert_array_equal(table.clone()((5, 2)), table((5, 2)))


def test_no_values_are_drawn_where_a_checkpoint_follows():
    drawn = []

    class Recording(keras.initializers.RandomNormal):
        def __call__(self, shape, dtype=None):
            drawn.append(self)
            return super().__call__(shape, dtype)

    def build():
        FeedForward(6, kernel_initializer=Recording()).build((None, 4))
        keras.layers.Embedding(7, 4, embeddings_initializer=TableInitializer(Recording())).build()

    with weights_without_values():
        build()
    assert drawn == []
    build()
    assert len(drawn) == 3


def test_values_are_drawn_again_behind_an_error():
    with pytest.raises(KeyError), weights_without_values():
        assert without_values()
        raise KeyError
    assert not without_values()
    assert first_values("ones") is not initializers.no_values
