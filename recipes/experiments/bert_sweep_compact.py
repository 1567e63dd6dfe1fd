"""The grid that the compact BERT models were fine-tuned with, on any of the corpora.

    polysemy run bert_sweep_compact train evaluate --set data.root=DATA --set task.corpus=rte

Batches of 8 to 128, rates 3e-4, 1e-4, 5e-5 and 3e-5, 4 epochs: 20 runs a seed; the last line names
the one with the best dev score. Warm-up: a tenth of the steps.
[Turc et al., 2019](https://arxiv.org/abs/1908.08962)
"""

from ..config import DataConfig, Experiment
from ..grids import grid
from ..tasks.classification import Classification
from ._bert import adamw

experiment = Experiment(
    name="bert_sweep_compact",
    description="the fine-tuning grid of the compact BERT models: batch, learning rate",
    task=Classification(corpus="rte", max_length=192),
    data=DataConfig(name="RTE-2 and RTE-3"),
    trainer=adamw(epochs=4, learning_rate=1e-4, warmup_fraction=0.1),
    seeds=(1,),
    variants=grid(
        {
            "task.batch_size": (8, 16, 32, 64, 128),
            "trainer.learning_rate": (3e-4, 1e-4, 5e-5, 3e-5),
        }
    ),
    choose_best=True,
    paper="61.8 accuracy (Small), 57.9 (Mini), GLUE test",
)
