"""Entailment of pairs (RTE) by BERT.

    polysemy run bert_rte train evaluate export --set data.root=DATA

Starts from all-MiniLM-L6-v2, a BERT of 6 layers x 384 (preset `minilm_l6_en`): fine-tuned, with
rates that fall from layer to layer, and feature-based, the last four layers side by side under a
linear classifier; from the same model without its training; and from our own pre-training ("own";
"own_short" and the like from its other variants), which is skipped where `bert_pretrain_wikitext2`
has not been exported to the same `--out`. Training: RTE-2 test and RTE-3 dev (1,600 pairs), dev:
RTE-2 dev (400), test: RTE-3 test (800). GLUE's RTE also has RTE-1 and RTE-5 (2,490 pairs of
training).
"""

from ..config import DataConfig, Experiment
from ..tasks.classification import Classification
from ._bert import CLASSIFICATION_VARIANTS, adamw

experiment = Experiment(
    name="bert_rte",
    description="RTE entailment: fine-tuned, feature-based, untrained, own",
    task=Classification(corpus="rte", max_length=192),
    data=DataConfig(name="RTE-2 and RTE-3"),
    trainer=adamw(epochs=4, learning_rate=1e-4, warmup_steps=20),
    variants=CLASSIFICATION_VARIANTS,
    paper="66.4 accuracy, recalled (Base, GLUE test); 61.8 Small, 57.9 Mini",
)
