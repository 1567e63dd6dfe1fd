import keras
from keras import ops

from .masks import keras_mask
from .projected_lstm import ProjectedLSTM

DIRECTIONS = ("forward", "backward")


@keras.saving.register_keras_serializable(package="polysemy")
class BidirectionalLM(keras.layers.Layer):
    """Two independent stacks of projected LSTMs, one reading forward, one backward.

    Neither direction sees the other, so that each stays a language model. From the second layer on
    the input is added to the output.

    Shapes: B batch, L steps, D input features, P projection_dim, H hidden_dim, N num_layers.

    Args:
        num_layers: int. N.
        hidden_dim: int. H, the width of the cells.
        projection_dim: int. P.
        cell_clip, projection_clip: float or None. See `ProjectedLSTM`.
        residual: bool. Add the input of each layer but the first to its output.
        dropout: float. On the input of every layer, the first included.
        stateful: bool. Begin each call with the state that the call before left behind, row by row.
        state_batch_size: int. Rows of the kept state, needed if `stateful`. A smaller batch uses
            and updates the first rows.
        seed: int or None. Of the dropout.

    Call arguments:
        inputs: (B, L, D) float, read by the forward stack and, from its end, by the backward stack.
        reverse_inputs: (B, L, D) float. If given, the backward stack reads this, left to right:
            text that was reversed beforehand, as in rows packed for training.
        padding_mask: (B, L) bool, True at tokens; by default Keras's mask of `inputs`.
        training: bool.

    Returns:
        dict with "forward" and "backward", each a list of N tensors (B, L, P), lowest layer first.
        The outputs of the backward stack stand in the order of what it was given.

    Example:
    >>> lm = BidirectionalLM(num_layers=2, hidden_dim=8, projection_dim=4)
    >>> outputs = lm(keras.ops.ones((3, 5, 4)))
    >>> [x.shape for x in outputs["backward"]]
    [TensorShape([3, 5, 4]), TensorShape([3, 5, 4])]

    Reference: [Peters et al., 2018](https://arxiv.org/abs/1802.05365), section 3.1.
    """

    def __init__(
        self,
        num_layers,
        hidden_dim,
        projection_dim,
        cell_clip=None,
        projection_clip=None,
        residual=True,
        dropout=0.0,
        stateful=False,
        state_batch_size=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_layers < 1:
            raise ValueError(f"`num_layers` must be at least 1. Received: num_layers={num_layers}")
        if stateful and not state_batch_size:
            raise ValueError(
                "`state_batch_size` must be a positive integer when `stateful` is True. Received: "
                f"state_batch_size={state_batch_size}"
            )
        self.supports_masking = True
        self.num_layers = num_layers
        self.hidden_dim = hidden_dim
        self.projection_dim = projection_dim
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.residual = residual
        self.dropout = dropout
        self.stateful = stateful
        self.state_batch_size = state_batch_size
        self.seed = seed
        self.states = {}
        for direction in DIRECTIONS:
            for i in range(num_layers):
                lstm = ProjectedLSTM(
                    hidden_dim,
                    projection_dim,
                    cell_clip=cell_clip,
                    projection_clip=projection_clip,
                    residual=residual and i > 0,
                    go_backwards=direction == "backward",
                    return_state=True,
                    dtype=self.dtype_policy,
                    name=f"{direction}_{i}",
                )
                setattr(self, f"{direction}_{i}", lstm)
        self.input_dropout = keras.layers.Dropout(
            dropout, seed=seed, dtype=self.dtype_policy, name="input_dropout"
        )

    def lstm(self, direction, layer):
        """The `ProjectedLSTM` of a direction ("forward", "backward") and layer (0: the lowest)."""
        return getattr(self, f"{direction}_{layer}")

    def build(self, input_shape):
        for direction in DIRECTIONS:
            shape = tuple(input_shape)
            for i in range(self.num_layers):
                self.lstm(direction, i).build(shape)
                shape = (*shape[:-1], self.projection_dim)
        if self.stateful:
            for direction in DIRECTIONS:
                for i in range(self.num_layers):
                    parts = ("output", self.projection_dim), ("cell", self.hidden_dim)
                    self.states[f"{direction}_{i}"] = [
                        self.add_weight(
                            name=f"{direction}_{i}_{part}",
                            shape=(self.state_batch_size, dim),
                            initializer="zeros",
                            trainable=False,
                            autocast=False,
                            dtype="float32",
                        )
                        for part, dim in parts
                    ]

    def call(self, inputs, reverse_inputs=None, padding_mask=None, training=False):
        if padding_mask is None:
            padding_mask = keras_mask(inputs)
        if reverse_inputs is None:
            backward = self._run("backward", inputs, padding_mask, training)
        else:
            mask = None if padding_mask is None else ops.flip(padding_mask, axis=1)
            flipped = ops.flip(reverse_inputs, axis=1)
            backward = [ops.flip(x, axis=1) for x in self._run("backward", flipped, mask, training)]
        forward = self._run("forward", inputs, padding_mask, training)
        return {"forward": forward, "backward": backward}

    def _run(self, direction, x, padding_mask, training):
        outputs = []
        for i in range(self.num_layers):
            x = self.input_dropout(x, training=training)
            state = self._read_state(direction, i, x)
            x, *state = self.lstm(direction, i)(x, padding_mask=padding_mask, initial_state=state)
            self._write_state(direction, i, state)
            outputs.append(x)  # (B, L, P)
        return outputs

    def _read_state(self, direction, layer, x):
        if not self.stateful:
            return None
        rows, limit = ops.shape(x)[0], self.state_batch_size
        if isinstance(rows, int) and limit is not None and rows > limit:
            raise ValueError(
                "`inputs` must not have more rows than `state_batch_size`. Received: "
                f"inputs.shape={tuple(x.shape)}, state_batch_size={limit}"
            )
        return [state[:rows] for state in self.states[f"{direction}_{layer}"]]

    def _write_state(self, direction, layer, new):
        if not self.stateful:
            return
        for state, value in zip(self.states[f"{direction}_{layer}"], new, strict=True):
            # The cut gradient is the truncation of backpropagation through time.
            value = ops.stop_gradient(ops.cast(value, "float32"))
            state.assign(ops.concatenate([value, state[ops.shape(value)[0] :]], axis=0))

    def reset_states(self):
        """Sets the kept state of every row to zero."""
        for pair in self.states.values():
            for state in pair:
                state.assign(ops.zeros(state.shape))

    def compute_mask(self, inputs, previous_mask=None):
        mask = keras_mask(inputs)
        return {direction: [mask] * self.num_layers for direction in DIRECTIONS}

    def compute_output_spec(self, inputs, reverse_inputs=None, padding_mask=None, training=False):
        shape = (*inputs.shape[:2], self.projection_dim)
        return {
            direction: [
                keras.KerasTensor(shape, self.compute_dtype) for _ in range(self.num_layers)
            ]
            for direction in DIRECTIONS
        }

    def get_config(self):
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "hidden_dim": self.hidden_dim,
            "projection_dim": self.projection_dim,
            "cell_clip": self.cell_clip,
            "projection_clip": self.projection_clip,
            "residual": self.residual,
            "dropout": self.dropout,
            "stateful": self.stateful,
            "state_batch_size": self.state_batch_size,
            "seed": self.seed,
        }
