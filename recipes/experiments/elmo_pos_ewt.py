"""Parts of speech of UD English EWT with and without the tiny ELMo.

    polysemy run elmo_pos_ewt train evaluate --set data.root=DATA

One biLSTM and a CRF over word vectors and characters; the frozen biLM joins by a mix of its
layers. 204,577 words of training, 17 universal tags. The paper's figure is a linear probe on
another corpus with the original size.
"""

from ..config import DataConfig, Experiment, TrainerConfig
from ..tasks.tagging import Tagging

experiment = Experiment(
    name="elmo_pos_ewt",
    description="UD English EWT parts of speech: no biLM, top layer, mixes of all layers",
    task=Tagging(corpus="ewt", encoder="elmo_tiny_en"),
    data=DataConfig(name="UD English EWT"),
    trainer=TrainerConfig(epochs=1, learning_rate=3e-3, schedule="linear", gradient_clip_norm=5.0),
    variants={
        "no_lm": {"task.encoder": None},
        "top": {"task.encoder_layers": "top"},
        "mix_l2_1": {"task.mix_l2": 1.0},
        "mix_l2_0.001": {"task.mix_l2": 0.001},
        "mix_input_and_output": {"task.encoder_at": "both"},
    },
    paper="97.3 accuracy, recalled: a linear probe on layer 1 (WSJ, original size)",
)
