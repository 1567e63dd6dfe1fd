"""A language model of a few lines that any decoding must be right about, and numpy's own of it."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.generation import Generator

SIZE, DIM = 11, 6


class ToyModel:
    """A recurrent network with random weights: each token depends on all that stand before it.

    It keeps the protocol of `polysemy.zoo.generation` with a cache that is no Transformer's.
    """

    vocabulary_size = SIZE

    def __init__(self, max_length=40, seed=3):
        draw = np.random.default_rng(seed)
        self.max_length = max_length
        self.tokens = draw.normal(size=(SIZE, DIM)).astype("f4")
        self.kernel = draw.normal(size=(DIM, DIM), scale=0.7).astype("f4")
        self.output = draw.normal(size=(DIM, SIZE), scale=1.5).astype("f4")

    def init_cache(self, batch_size, length, inputs=None):
        state = tf.zeros([batch_size, DIM])
        return {"state": state if inputs is None else state + inputs}

    def step(self, token_ids, cache, index, lengths=None):
        width = tf.shape(token_ids)[1]
        if lengths is None:
            lengths = tf.fill([tf.shape(token_ids)[0]], width)

        def read(i, state):
            new = tf.tanh(tf.gather(self.tokens, token_ids[:, i]) + state @ self.kernel)
            return i + 1, tf.where((i < lengths)[:, None], new, state)

        _, state = tf.while_loop(lambda i, state: i < width, read, (0, cache["state"]))
        return state @ self.output, {"state": state}

    def logits(self, ids, state=None):
        """numpy: the logits after a whole list of ids."""
        state = np.zeros(DIM) if state is None else state
        for token in ids:
            state = np.tanh(self.tokens[token] + state @ self.kernel)
        return state @ self.output


@pytest.fixture(scope="session")
def toy():
    return ToyModel()


@pytest.fixture(scope="session")
def generator(toy):
    """One for the session: all tests together trace each of its graphs once."""
    return Generator(toy)


@pytest.fixture(scope="session")
def rows():
    """Turns an answer into a list of lists of int."""

    def listed(answer):
        ids, lengths = answer["token_ids"].numpy(), answer["lengths"].numpy()
        assert all((row[n:] == -1).all() for row, n in zip(ids, lengths, strict=True))
        return [row[:n].tolist() for row, n in zip(ids, lengths, strict=True)]

    return listed
