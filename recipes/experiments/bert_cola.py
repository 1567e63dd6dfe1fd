"""Acceptability of sentences (CoLA) by BERT, in Matthews' correlation.

    polysemy run bert_cola train evaluate export --set data.root=DATA

Starts from all-MiniLM-L6-v2, a BERT of 6 layers x 384 (preset `minilm_l6_en`): fine-tuned, with
rates that fall from layer to layer, and feature-based, the last four layers side by side under a
linear classifier; from the same model without its training; and from our own pre-training ("own";
"own_short" and the like from its other variants), which is skipped where `bert_pretrain_wikitext2`
has not been exported to the same `--out`. 8,551 sentences of training. Dev is the published
in-domain part, test the out-of-domain part (516 sentences from other sources): GLUE's test labels
are secret.
"""

from ..config import DataConfig, Experiment
from ..tasks.classification import Classification
from ._bert import CLASSIFICATION_VARIANTS, adamw

experiment = Experiment(
    name="bert_cola",
    description="CoLA acceptability (Matthews): fine-tuned, feature-based, untrained, own",
    task=Classification(corpus="cola"),
    data=DataConfig(name="CoLA"),
    trainer=adamw(epochs=4, learning_rate=1e-4, warmup_steps=107),
    variants=CLASSIFICATION_VARIANTS,
    paper="52.1 Matthews, recalled (Base, GLUE test)",
)
