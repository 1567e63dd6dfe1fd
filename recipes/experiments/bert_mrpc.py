"""Paraphrases (MRPC) by BERT, in F1 and accuracy.

    polysemy run bert_mrpc train evaluate export --set data.root=DATA

Starts from all-MiniLM-L6-v2, a BERT of 6 layers x 384 (preset `minilm_l6_en`): fine-tuned, with
rates that fall from layer to layer, and feature-based, the last four layers side by side under a
linear classifier; from the same model without its training; and from our own pre-training, whose
run `bert_pretrain_wikitext2` must be there ("own"; "own_short" from its variant "short"). 3,576
pairs of training, 500 dev, 1,725 test: the published training part without the dev pairs.
"""

from ..config import DataConfig, Experiment, TrainerConfig
from ..tasks.classification import Classification

experiment = Experiment(
    name="bert_mrpc",
    description="MRPC paraphrases (F1): fine-tuned, feature-based, untrained, own",
    task=Classification(corpus="mrpc"),
    data=DataConfig(name="MRPC"),
    trainer=TrainerConfig(
        epochs=4,
        optimizer="adamw",
        optimizer_options={"epsilon": 1e-6},
        learning_rate=1e-4,
        schedule="linear",
        warmup_steps=45,
        weight_decay=0.01,
        gradient_clip_norm=1.0,
    ),
    variants={
        "minilm": {},
        "minilm_layer_decay": {"trainer.layer_decay": 0.8},
        "minilm_features": {
            "task.encoder_training": "frozen",
            "task.features": (-4, -3, -2, -1),
            "trainer.learning_rate": 1e-3,
        },
        "untrained": {"task.pretrained": False},
        "own": {
            "task.encoder": "runs/bert_pretrain_wikitext2/default/seed1/preset",
            "task.features": (-1,),
        },
        "own_short": {
            "task.encoder": "runs/bert_pretrain_wikitext2/short/seed1/preset",
            "task.features": (-1,),
        },
    },
    paper="88.9 F1, recalled (Base, GLUE test)",
)
