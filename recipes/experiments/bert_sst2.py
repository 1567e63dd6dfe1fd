"""Sentiment of single sentences (SST-2) by BERT.

    polysemy run bert_sst2 train evaluate export --set data.root=DATA

Starts from all-MiniLM-L6-v2, a BERT of 6 layers x 384 (preset `minilm_l6_en`): fine-tuned, with
rates that fall from layer to layer, and feature-based, the last four layers side by side under a
linear classifier; from the same model without its training; and from our own pre-training ("own";
"own_short" and the like from its other variants), which is skipped where `bert_pretrain_wikitext2`
has not been exported to the same `--out`. 6,920 sentences of training, without the phrases that
GLUE's 67,349 examples have, so the paper's figure is of another training set.
"""

from ..config import DataConfig, Experiment
from ..tasks.classification import Classification
from ._bert import CLASSIFICATION_VARIANTS, adamw

experiment = Experiment(
    name="bert_sst2",
    description="SST-2 sentiment: fine-tuned, feature-based, untrained, own pre-training",
    task=Classification(corpus="sst2"),
    data=DataConfig(name="SST-2 sentences"),
    trainer=adamw(epochs=3, learning_rate=1e-4, warmup_steps=65),
    variants=CLASSIFICATION_VARIANTS,
    paper="93.5 accuracy, recalled (Base, GLUE test); 89.7 Small, 85.9 Mini",
)
