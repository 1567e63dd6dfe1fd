"""Named entities of WNUT-17 with and without the tiny ELMo.

    polysemy run elmo_ner_wnut17 train evaluate --set data.root=DATA

One biLSTM and a CRF over word vectors and characters; the frozen biLM joins by a mix of its
layers. 62,730 words of training; the test text comes from other sources, so scores are low by
nature. The paper's figure is for another corpus and the original size: it tells the gain to look
for, no more.
"""

from ..config import DataConfig, Experiment, TrainerConfig
from ..tasks.tagging import Tagging

experiment = Experiment(
    name="elmo_ner_wnut17",
    description="WNUT-17 entities: no biLM, top layer, mixes of all layers",
    task=Tagging(corpus="wnut17", encoder="elmo_tiny_en"),
    data=DataConfig(name="WNUT-17"),
    trainer=TrainerConfig(epochs=5, learning_rate=3e-3, schedule="linear", gradient_clip_norm=5.0),
    variants={
        "no_lm": {"task.encoder": None},
        "top": {"task.encoder_layers": "top"},
        "mix_l2_1": {"task.mix_l2": 1.0},
        "mix_l2_0.001": {"task.mix_l2": 0.001},
        "mix_input_and_output": {"task.encoder_at": "both"},
    },
    paper="92.22 F1, without ELMo 90.15 (CoNLL-2003, original size)",
)
