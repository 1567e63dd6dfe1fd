"""Fine-tunes the models of `bert_ablations` on SST-2: what each choice is worth to a task.

    polysemy run bert_ablations_sst2 train evaluate --set data.root=DATA

Runs what `bert_ablations` has trained and exported in the same folder of runs (`--out`), and skips
the rest. Each model is read by the mean of its last layer, whatever it was trained with: only next
sentences train a pooler.
"""

from ..config import DataConfig, Experiment
from ..run_presets import preset_of
from ..tasks.classification import Classification
from ._bert import adamw
from .bert_ablations import experiment as ablations

experiment = Experiment(
    name="bert_ablations_sst2",
    description="pre-training ablations, each fine-tuned on SST-2",
    task=Classification(corpus="sst2", features=(-1,)),
    data=DataConfig(name="SST-2 sentences"),
    trainer=adamw(epochs=3, learning_rate=5e-4, warmup_steps=65),
    seeds=(1,),
    variants={
        "untrained": {
            "task.encoder": preset_of("bert_ablations"),
            "task.pretrained": False,
        },
        **{
            name: {"task.encoder": preset_of("bert_ablations", name)} for name in ablations.variants
        },
    },
    paper="92.7 accuracy, no NSP 92.6, left to right 92.1, recalled (Base, dev)",
)
