"""Questions of SQuAD 1.1 answered by BERT.

    polysemy run bert_squad11 train evaluate export --set data.root=DATA

Starts from all-MiniLM-L6-v2 (preset `minilm_l6_en`). Training: 3,846 questions of a sample of the
published training part, which is word-tokenized; dev: every tenth paragraph of the sample (438
questions); test: the published dev part, whole and untouched (10,570 questions), on which the
paper's figure was measured after training on 87,599. Windows of 384 pieces, 128 apart, as in the
paper. `--set task.corpus=squad11_articles` trains and tests on articles of the dev part instead.

SQuAD 2.0: put the published `train-v2.0.json` and `dev-v2.0.json` (plain or gzip) in
`DATA/qa/squad2.0`, and, with the paper's batch, rate and epochs:

    polysemy run bert_squad11 train evaluate export --set data.root=DATA --variant minilm \
        --out runs/squad20 --set task.corpus=squad20 --set task.null_answers=true \
        --set data.name="SQuAD 2.0" --set task.batch_size=48 --set trainer.epochs=2 \
        --set trainer.learning_rate=5e-5

The threshold beyond which no answer is given is tuned on every tenth paragraph of the training
part, scored on the published dev part, and exported with the model.
"""

from ..config import DataConfig, Experiment
from ..tasks.span_qa import SpanQA
from ._bert import adamw, own

experiment = Experiment(
    name="bert_squad11",
    description="SQuAD 1.1, trained on 3,846 questions: fine-tuned, untrained, own pre-training",
    task=SpanQA(corpus="squad11", batch_size=16),
    data=DataConfig(name="SQuAD 1.1, 3,846 questions of training"),
    trainer=adamw(epochs=3, learning_rate=2e-4, warmup_steps=70, mixed_precision="mixed_bfloat16"),
    variants={
        "minilm": {},
        "minilm_one_epoch": {"trainer.epochs": 1, "trainer.warmup_steps": 25},
        "untrained": {"task.pretrained": False},
        **own(),
    },
    seeds=(1,),
    paper="88.5 F1, 80.8 exact match, recalled (Base, dev, 87,599 questions of training)",
)
