"""Tiny corpora of texts, questions and documents, and the smallest BERT that reads them."""

import json
from pathlib import Path

from polysemy.recipes.data import corpora, squad, texts
from polysemy.recipes.data.corpora import SPLITS, Corpus
from polysemy.recipes.data.squad import QuestionCorpus
from polysemy.recipes.data.texts import TextCorpus
from polysemy.zoo.bert.backbone import Bert

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*"abcdefghijklmnopqrstuvwxyz.?"]
WORDS = ["good", "bad", "film", "the", "is", "in", "rome", "ada", "bo", "who", "##ed"]
VOCABULARY = [*SPECIAL, *LETTERS, *(f"##{x}" for x in LETTERS[:-2]), *WORDS]
BERT = {
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 16,
    "max_length": 48,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}

# Passes of many batches: each pass is a `fit` of its own, whose start takes longer than its steps.
COPIES = 10
TEXTS = [
    ("the film is good", "positive"),
    ("good good ada", "positive"),
    ("a good film in rome", "positive"),
    ("the film is bad", "negative"),
    ("bad ada", "negative"),
    ("bo is in a bad film and sees it all in rome", "negative"),
]
PAIRS = [("ada is good", "ada is good", "same"), ("bo is in rome", "ada is bad", "other")]
SCORES = [("good", "good", 4.0), ("good", "bad", 1.0), ("ada", "bo", 0.5), ("film", "film", 3.5)]

CONTEXT = "ada is in rome . bo is in a film . who is good ? ada is ."
QUESTIONS = [
    ("q1", "who is in rome", [("ada", 0)]),
    ("q2", "who is in a film ?", [("bo", 17), ("bo is", 17)]),
    ("q3", "who is bad", []),
]

DOCUMENTS = """
 = Rome =

 ada is in rome . bo is in a film . who is good ? ada is .
 the film is bad . ada sees the film in rome .

 = Film =

 the film is good . bo is good in the film .
 = = Ada = =

 ada and bo are in it . is ada bad ? bo is . the film is in rome .
"""


def make_bert(**arguments) -> Bert:
    return Bert(VOCABULARY, **{**BERT, **arguments})


def squad_data(impossible: bool) -> dict:
    entries = [
        {
            "id": f"{name}/{copy}",
            "question": question,
            "answers": [{"text": text, "answer_start": start} for text, start in answers],
            **({"is_impossible": not answers} if impossible else {}),
        }
        for copy in range(COPIES)
        for name, question, answers in QUESTIONS
        if answers or impossible
    ]
    return {"data": [{"title": "t", "paragraphs": [{"context": CONTEXT, "qas": entries}]}]}


def _read_texts(path):
    yield from ({"text": text, "label": label} for text, label in TEXTS * COPIES)


def _read_pairs(path):
    yield from ({"text": a, "pair": b, "label": label} for a, b, label in PAIRS * COPIES)


def _read_scores(path):
    yield from ({"text": a, "pair": b, "label": label} for a, b, label in SCORES * COPIES)


def register(folder: Path) -> list[tuple[dict, dict]]:
    """Writes the files of the corpora; returns each registry with what belongs into it."""
    (folder / "none").write_text("")
    for name, impossible in (("v1.json", False), ("v2.json", True)):
        (folder / name).write_text(json.dumps(squad_data(impossible)))
    (folder / "wiki.txt").write_text(DOCUMENTS * COPIES)
    root = str(folder)
    splits = {split: ("none",) for split in SPLITS}
    accuracy, spearman = ("accuracy", "f1"), ("spearman", "pearson")
    return [
        (
            texts.CORPORA,
            {
                "tiny_texts": TextCorpus(
                    "tiny_texts",
                    splits,
                    _read_texts,
                    ("negative", "positive"),
                    accuracy,
                    "CC0",
                    root=root,
                ),
                "tiny_pairs": TextCorpus(
                    "tiny_pairs",
                    splits,
                    _read_pairs,
                    ("other", "same"),
                    accuracy,
                    "CC0",
                    is_pair=True,
                    root=root,
                ),
                "tiny_scores": TextCorpus(
                    "tiny_scores",
                    splits,
                    _read_scores,
                    None,
                    spearman,
                    "CC0",
                    is_pair=True,
                    root=root,
                ),
            },
        ),
        (
            squad.CORPORA,
            {
                name: QuestionCorpus(name, {split: file for split in SPLITS}, "CC0", root=root)
                for name, file in (("tiny_v1", "v1.json"), ("tiny_v2", "v2.json"))
            },
        ),
        (
            corpora.CORPORA,
            {
                "tiny_wiki": Corpus(
                    "tiny_wiki",
                    "language_modeling",
                    {split: "wiki.txt" for split in SPLITS},
                    corpora.get("wikitext2").read,
                    "CC0",
                    root=root,
                )
            },
        ),
    ]
