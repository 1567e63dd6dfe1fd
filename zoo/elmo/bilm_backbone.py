import keras

from ..backbone import Backbone
from .outputs import hub_outputs


@keras.saving.register_keras_serializable(package="polysemy")
class BiLMBackbone(Backbone):
    """What every backbone around a biLM does, wherever its word vectors come from.

    A subclass keeps its `BidirectionalLM` as `self.bidirectional_lm`.
    """

    def reset_states(self):
        """Forgets the LSTM state of every row; only a stateful model keeps one."""
        self.bidirectional_lm.reset_states()

    @property
    def transient_variables(self):
        return [v for pair in self.bidirectional_lm.states.values() for v in pair]

    def serving_outputs(self, outputs, inputs):
        """The names of TF Hub's ELMo module; `default` is the mean over each sentence's tokens."""
        return hub_outputs(outputs, inputs["padding_mask"])
