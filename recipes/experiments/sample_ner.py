"""Named entities of the shipped sample, without and with the biLM: the demo's second step.

    polysemy run sample_ner train evaluate export

427 sentences of training; 87 % of the entities of the test split do not occur in it. Needs no
data beside the package. The sample is a toy set: its scores compare the two variants and nothing
else.
"""

from ..config import DataConfig, Experiment, TrainerConfig
from ..tasks.tagging import Tagging

experiment = Experiment(
    name="sample_ner",
    description="entities of the shipped sample, without and with the biLM (toy)",
    task=Tagging(corpus="sample_ner", encoder="elmo_tiny_en", batch_size=16, hidden_dim=64),
    data=DataConfig(name="sample (toy)"),
    trainer=TrainerConfig(epochs=15, learning_rate=3e-3, schedule="linear", gradient_clip_norm=5.0),
    variants={"no_lm": {"task.encoder": None}, "elmo": {}},
    seeds=(1,),
    paper="92.22 F1, without ELMo 90.15 (CoNLL-2003, original size)",
)
