"""How the arrays of `lstm_scan` lie in memory: a step's states as (B, M) or as (M, B).

The kernels are much larger than what they multiply at a step. In half precision a CPU multiplies
and sums two neighbors by one instruction, and wants the summed axis contiguous in the kernel: with
the transposed kernel on the left, a step of 32 rows is 1.3 to 1.6 times as fast. Then the states
had best stay that way from step to step. In single precision the usual order is faster.

Shapes: L steps, B batch, M or N features.
"""

from keras import ops


class _RowsFirst:
    """States are (B, M)."""

    axis = -1  # of the features

    def turn(self, x):
        """(…, B, M) as this layout has it, or back."""
        return x

    def bias(self, bias, state):
        """(M,) as it is added to states like `state`."""
        return bias

    def parts(self, gates):
        """The four gates of (4H, …) or (…, 4H) in as many arrays as one product had best make."""
        return [gates]

    def gates(self, parts):
        """Each gate by itself."""
        return ops.split(parts[0], 4, axis=-1)

    def recur(self, kernel):
        """A function a part, from states (B, M) to their product with that part of `kernel`."""
        return [self.multiply_by(kernel)]

    def project_inputs(self, x, kernel):
        """The products of all steps (L, B, M) with each part of `kernel`."""
        return [self.unstacked(self.multiply_by(kernel)(self.stacked(x)), x)]

    def multiply_by(self, kernel):
        """A function from states of M features to their products with `kernel` (M, N)."""
        return lambda x: ops.matmul(x, kernel)

    def multiply_by_transposed(self, kernel):
        """A function from states of N features to their products with the transposed `kernel`."""
        return self.multiply_by(ops.transpose(kernel))

    def stacked(self, states):
        """The states of all steps as one matrix: one product takes them all."""
        shape = ops.shape(states)
        return ops.reshape(states, (shape[0] * shape[1], states.shape[2]))

    def unstacked(self, matrix, like):
        """Undoes `stacked`; `like` has the steps and the rows."""
        shape = ops.shape(like)
        return ops.reshape(matrix, (shape[0], shape[1], matrix.shape[1]))

    def sum_of_rows(self, stacked):
        """Sum over steps and rows -> (M,) float32."""
        return ops.sum(ops.cast(stacked, "float32"), axis=0)

    def outer_sum(self, left, right):
        """Sum over steps and rows of the outer products -> (M, N)."""
        return ops.matmul(ops.transpose(left), right)


class _FeaturesFirst:
    """States are (M, B). The methods are those of `_RowsFirst`."""

    axis = 0

    def turn(self, x):
        return ops.swapaxes(x, -1, -2)

    def bias(self, bias, state):
        # Written out: to spread it over the innermost axis at every step takes twice as long.
        return ops.broadcast_to(bias[:, None], (bias.shape[0], ops.shape(state)[1]))

    def parts(self, gates):
        return ops.split(gates, 4, axis=0)

    def gates(self, parts):
        return parts

    def recur(self, kernel):
        # Four products of a quarter take a tenth less time than one: one gate is multiplied while
        # another goes through its function.
        return [self.multiply_by_transposed(part) for part in self.parts(ops.transpose(kernel))]

    def project_inputs(self, x, kernel):
        # A product a step leaves each step's block where the loop reads it: one product of all
        # steps is no faster, and its result, the largest array here, would have to be turned.
        return [ops.matmul(part[None], x) for part in self.parts(ops.transpose(kernel))]

    def multiply_by(self, kernel):
        return self.multiply_by_transposed(ops.transpose(kernel))

    def multiply_by_transposed(self, kernel):
        return lambda x: ops.matmul(kernel, x)

    def stacked(self, states):
        shape = ops.shape(states)
        turned = ops.transpose(states, (1, 0, 2))
        return ops.reshape(turned, (states.shape[1], shape[0] * shape[2]))

    def unstacked(self, matrix, like):
        shape = ops.shape(like)
        turned = ops.reshape(matrix, (matrix.shape[0], shape[0], shape[2]))
        return ops.transpose(turned, (1, 0, 2))

    def sum_of_rows(self, stacked):
        return ops.sum(ops.cast(stacked, "float32"), axis=1)

    def outer_sum(self, left, right):
        return ops.matmul(left, ops.transpose(right))


ROWS_FIRST = _RowsFirst()
FEATURES_FIRST = _FeaturesFirst()
