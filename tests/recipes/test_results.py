"""What the list of experiments tells of a results file."""

import csv
from pathlib import Path

from polysemy import recipes
from polysemy.recipes import experiments
from polysemy.recipes.results import COLUMNS, append_rows, measured

RESULTS = Path(recipes.__file__).with_name("results.csv")


def row(variant, metric, mean, minutes="3.0", data="Toys", hardware="2 CPU cores"):
    values = {"experiment": "toy", "variant": variant, "metric": metric, "mean": mean}
    more = {"data": data, "minutes": minutes, "hardware": hardware}
    return {**dict.fromkeys(COLUMNS, ""), **values, **more}


def test_scores_of_an_experiment(tmp_path):
    path = tmp_path / "results.csv"
    assert measured("toy", "Toys", ["a"], path) == ""
    append_rows(
        path,
        [
            row("b", "dev_f1", "0.9"),
            row("b", "test_f1", "0.51236"),
            row("b", "test_exact_match", "0.4"),
            row("a", "test_f1", "12.5", minutes="10.5"),
            row("c", "test_f1", "1"),
            row("d", "test_f1", "2", data="other"),
        ],
    )
    assert (
        measured("toy", "Toys", "abd", path) == "test_f1: a 12.5, b 0.5124; 3–10.5 min, 2 CPU cores"
    )
    assert measured("toy", "Toys", ["b"], path) == "test_f1: b 0.5124; 3 min, 2 CPU cores"
    assert measured("other", "Toys", ["b"], path) == ""


def test_every_experiment_with_a_row_tells_its_scores():
    with open(RESULTS, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = {row["experiment"] for row in rows}
    assert {"bert_trec", "gpt2_lm_wikitext2", "elmo_ner_wnut17"} <= names
    for name in names:
        experiment = experiments.get(name)
        found = measured(name, experiment.data.name, experiment.variants)
        # Of each variant the score that the recipe reports, which is the first one of its rows.
        for variant in experiment.variants:
            means = [
                float(row["mean"])
                for row in rows
                if (row["experiment"], row["variant"]) == (name, variant)
                and row["metric"].startswith("test_")
            ]
            assert not means or f"{variant} {means[0]:.4g}" in found
