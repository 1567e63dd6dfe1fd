import keras
import numpy as np
from keras import ops

from . import crf_algorithms
from .masks import keras_mask


@keras.saving.register_keras_serializable(package="polysemy")
class CRF(keras.layers.Layer):
    """Linear-chain conditional random field: scores whole tag sequences instead of single tags.

    `score(y) = start[y_1] + sum_t logits[t, y_t] + sum_t transitions[y_{t-1}, y_t] + end[y_n]`, and
    `P(y) = exp(score(y)) / sum_y' exp(score(y'))`. All weights start at zero: an untrained CRF
    without constraints is a softmax for each token. The sums over all sequences, the best sequence
    and the marginals are exact, computed in float32 under every dtype policy, in loops that compile
    once for all lengths.

    Use it in a model by its outputs and `CRFLoss`, as below; or in a training step of your own by
    `log_likelihood`. What a graph does not use, it does not compute: training costs no decoding.

    Shapes: B sentences, L tokens, T num_tags.

    Args:
        num_tags: int. T, padding not counted; a padded token comes out as tag 0.
        constraints: (T + 2, T + 2) bool array, or None. True where row may be followed by column;
            row T is the start of a sentence, column T + 1 its end: `crf_constraints(tags, "BIO")`
            makes it. Sequences that break it have probability zero in training and decoding.

    Call arguments:
        logits: (B, L, T) float. Scores of an encoder, not normalized.
        padding_mask: (B, L) bool or int, 1 at tokens; padding on the right only. Optional: by
            default the Keras mask of `logits`, else all are tokens.

    Returns:
        dict of
        `logits`: (B, L, T) float32, as they came;
        `tag_ids`: (B, L) int32. The best sequence (Viterbi), 0 at padding;
        `probabilities`: (B, L, T) float32. Marginals, 0 at padding;
        `log_potentials`: (B, L, T, T) float32. `[b, t, i, j]` scores tag j at t after tag i, start,
        end, constraints and padding included. What `CRFLoss` takes; leave it out of a model that
        you predict with, for it is large.

    Example: any encoder, five lines, and one for the tags.
    >>> from polysemy.layers.crf_loss import CRFLoss
    >>> tokens = keras.Input((None,), dtype="int32")
    >>> logits = keras.layers.Dense(3)(keras.layers.Embedding(9, 8, mask_zero=True)(tokens))
    >>> outputs = CRF(num_tags=3)(logits)
    >>> model = keras.Model(tokens, outputs["log_potentials"])
    >>> model.compile(keras.optimizers.Adam(0.1), loss=CRFLoss())
    >>> x, y = np.array([[5, 6, 7], [6, 5, 0]]), np.array([[0, 1, 2], [1, 0, 0]])
    >>> history = model.fit(x, y, epochs=30, verbose=0)
    >>> keras.Model(tokens, outputs["tag_ids"]).predict(x, verbose=0).tolist()
    [[0, 1, 2], [1, 0, 0]]

    Reference: [Lafferty et al., 2001](https://repository.upenn.edu/cis_papers/159),
    [Lample et al., 2016](https://arxiv.org/abs/1603.01360)
    """

    def __init__(self, num_tags, constraints=None, **kwargs):
        # Without autocast: half precision would lose digits of float32 logits that are needed.
        super().__init__(autocast=False, **kwargs)
        if num_tags < 1:
            raise ValueError(f"`num_tags` must be at least 1. Received: num_tags={num_tags}")
        self.num_tags = num_tags
        self.constraints = constraints
        self.supports_masking = True
        if constraints is None:
            return
        allowed = np.asarray(constraints, dtype=bool)
        if allowed.shape != (num_tags + 2, num_tags + 2):
            raise ValueError(
                "`constraints` must be None or of shape (num_tags + 2, num_tags + 2). Received: "
                f"num_tags={num_tags}, constraints.shape={allowed.shape}"
            )
        if not _has_a_path(allowed):
            raise ValueError(
                "`constraints` must allow at least one tag between start and end. Received: "
                f"constraints={allowed.astype(int).tolist()}"
            )
        self.constraints = allowed

    def build(self, logits_shape):
        if logits_shape[-1] not in (None, self.num_tags):
            raise ValueError(
                "`logits` must have `num_tags` scores for each token. Received: "
                f"num_tags={self.num_tags}, logits.shape={tuple(logits_shape)}"
            )
        tags = self.num_tags
        self.transitions = self._add_scores("transitions", (tags, tags))
        self.start_transitions = self._add_scores("start_transitions", (tags,))
        self.end_transitions = self._add_scores("end_transitions", (tags,))

    def _add_scores(self, name, shape):
        return self.add_weight(name=name, shape=shape, initializer="zeros", autocast=False)

    def call(self, logits, padding_mask=None):
        mask = self._mask(logits, padding_mask)
        logits = ops.cast(logits, "float32")
        # One padded step more: TensorFlow cannot stack the outputs of a loop of no steps (L = 0).
        potentials = self._potentials(_pad_step(logits), _pad_step(mask))
        tags, _ = crf_algorithms.best_path(potentials)
        probabilities = crf_algorithms.marginals(potentials)
        return {
            "logits": logits,
            "tag_ids": ops.transpose(tags[:-1]),
            "probabilities": _batch_major(probabilities[:-1]) * _weights(mask),
            "log_potentials": ops.transpose(potentials[:-1], (1, 0, 2, 3)),
        }

    def log_likelihood(self, logits, tags, padding_mask=None):
        """Log-probability of tag sequences.

        Args:
            logits: (B, L, T) float.
            tags: (B, L) int. Any value at padding; what is no tag's id elsewhere is forbidden.
            padding_mask: as in `call`.

        Returns:
            (B,) float32, in nats; 0 for a sentence without tokens.
        """
        self._build_for(logits)
        mask = self._mask(logits, padding_mask)
        tags = ops.where(mask, ops.cast(tags, "int32"), 0)
        potentials = self._potentials(_pad_step(logits), _pad_step(mask))
        score = crf_algorithms.path_score(potentials, ops.transpose(_pad_step(tags)))
        return score - crf_algorithms.log_partition(potentials)

    def decode(self, logits, padding_mask=None):
        """Best tag sequences, by Viterbi; among equals the one with the lowest last ids.

        Args:
            logits: (B, L, T) float.
            padding_mask: as in `call`.

        Returns:
            `tag_ids` (B, L) int32, 0 at padding; their score (B,) float32.
        """
        self._build_for(logits)
        mask = self._mask(logits, padding_mask)
        tags, score = crf_algorithms.best_path(self._potentials(_pad_step(logits), _pad_step(mask)))
        return ops.transpose(tags[:-1]), score

    def marginals(self, logits, padding_mask=None):
        """Probability of each tag at each token, all sequences considered.

        Args:
            logits: (B, L, T) float.
            padding_mask: as in `call`.

        Returns:
            (B, L, T) float32; 0 at padding.
        """
        self._build_for(logits)
        mask = self._mask(logits, padding_mask)
        probabilities = crf_algorithms.marginals(
            self._potentials(_pad_step(logits), _pad_step(mask))
        )
        return _batch_major(probabilities[:-1]) * _weights(mask)

    def _build_for(self, logits):
        if not self.built:
            with keras.name_scope(self.name):
                self.build(logits.shape)
            self.built = True

    def _mask(self, logits, padding_mask):
        if padding_mask is None:
            padding_mask = keras_mask(logits)
        if padding_mask is None:
            return ops.ones(ops.shape(logits)[:2], dtype="bool")
        return ops.cast(padding_mask, "bool")

    def _potentials(self, logits, mask):
        """Time-major log-potentials as `crf_algorithms` defines them: (L, B, T, T)."""
        transitions = ops.cast(self.transitions, "float32")
        start = ops.cast(self.start_transitions, "float32")
        end = ops.cast(self.end_transitions, "float32")
        if self.constraints is not None:
            tags = self.num_tags
            penalty = np.where(self.constraints, 0.0, crf_algorithms.FORBIDDEN).astype("float32")
            transitions = transitions + penalty[:tags, :tags]
            start = start + penalty[tags, :tags]
            end = end + penalty[:tags, tags + 1]
        logits = ops.transpose(ops.cast(logits, "float32"), (1, 0, 2))  # (L, B, T)
        mask = ops.transpose(mask)  # (L, B)
        position = ops.arange(ops.shape(mask)[0])[:, None]
        is_last = ops.equal(position, ops.sum(ops.cast(mask, "int32"), axis=0) - 1)  # (L, B)
        unary = logits + ops.where(is_last[..., None], end, 0.0)
        steps = ops.where(ops.equal(position[..., None], 0), start, transitions)  # (L, T, T)
        padding = (1.0 - ops.one_hot(0, self.num_tags, dtype="float32")) * crf_algorithms.FORBIDDEN
        potentials = unary[:, :, None, :] + steps[:, None]
        return ops.where(mask[:, :, None, None], potentials, padding)

    def compute_mask(self, inputs, previous_mask=None):
        # Padding is in the outputs themselves. A Keras mask on them would weigh the loss, which has
        # one value for each sentence, by token.
        return None

    def compute_output_spec(self, logits, padding_mask=None):
        batch, length = logits.shape[:2]
        tags = self.num_tags
        return {
            "logits": keras.KerasTensor((batch, length, tags), "float32"),
            "tag_ids": keras.KerasTensor((batch, length), "int32"),
            "probabilities": keras.KerasTensor((batch, length, tags), "float32"),
            "log_potentials": keras.KerasTensor((batch, length, tags, tags), "float32"),
        }

    def get_config(self):
        constraints = self.constraints
        if constraints is not None:
            constraints = constraints.astype(int).tolist()
        return {**super().get_config(), "num_tags": self.num_tags, "constraints": constraints}


def _pad_step(x):
    """(B, L, …) -> (B, L + 1, …), zeros last."""
    return ops.concatenate([x, ops.zeros((ops.shape(x)[0], 1, *x.shape[2:]), x.dtype)], axis=1)


def _batch_major(x):
    return ops.transpose(x, (1, 0, 2))


def _weights(mask):
    return ops.cast(mask, "float32")[..., None]


def _has_a_path(allowed) -> bool:
    """Whether some non-empty tag sequence leads from start to end."""
    tags = len(allowed) - 2
    reached = allowed[tags, :tags]
    for _ in range(tags):
        reached = reached | allowed[:tags, :tags][reached].any(axis=0)
    return bool((reached & allowed[:tags, tags + 1]).any())
