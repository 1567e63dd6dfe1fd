"""The grid that BERT's paper fine-tunes with, on any of the corpora.

    polysemy run bert_sweep train evaluate --set data.root=DATA --set task.corpus=rte

Batches of 16 and 32, rates 5e-5, 4e-5, 3e-5 and 2e-5, 2, 3 and 4 epochs: 24 runs a seed; the last
line names the one with the best dev score. It is the paper's grid (appendix A.3) with the rate 4e-5
of its GLUE runs, for which it keeps batch 32 and 3 epochs: `--variant
batch_size_32_learning_rate_5e-05_epochs_3`, and so on. Warm-up: a tenth of the steps, as there.
"""

from ..config import DataConfig, Experiment
from ..grids import grid
from ..tasks.classification import Classification
from ._bert import adamw

experiment = Experiment(
    name="bert_sweep",
    description="BERT's fine-tuning grid: batch, learning rate, epochs",
    task=Classification(corpus="rte", max_length=192),
    data=DataConfig(name="RTE-2 and RTE-3"),
    trainer=adamw(epochs=3, learning_rate=5e-5, warmup_fraction=0.1),
    seeds=(1,),
    variants=grid(
        {
            "task.batch_size": (16, 32),
            "trainer.learning_rate": (5e-5, 4e-5, 3e-5, 2e-5),
            "trainer.epochs": (2, 3, 4),
        }
    ),
    choose_best=True,
    paper="66.4 accuracy, recalled (Base, GLUE test)",
)
