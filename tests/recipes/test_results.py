"""What the list of experiments tells of a results file."""

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from polysemy import recipes
from polysemy.recipes import experiments
from polysemy.recipes.results import COLUMNS, append_rows, measured
from polysemy.recipes.run import run_experiment

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


def test_more_seeds_count_more(tmp_path):
    path = tmp_path / "results.csv"

    def append(seeds, mean):
        rows = [{**row("a", metric, mean), "seeds": seeds} for metric in ("dev_f1", "test_f1")]
        said = append_rows(path, rows)
        with open(path, newline="") as file:
            assert len({(each["seeds"], each["mean"]) for each in csv.DictReader(file)}) == 1
        return said, measured("toy", "Toys", ["a"], path).split(";")[0]

    assert append("1, 2, 3", "1") == ([], "test_f1: a 1")
    assert append("3, 2, 1", "2") == ([], "test_f1: a 2")
    kept = f"{path} keeps toy a over the seeds 3, 2, 1; over 2, 9 it is not written"
    assert append("2, 9", "3") == ([kept], "test_f1: a 2")
    replaced = f"{path} has toy a over the seeds 4, 5, 6 now, no longer over 3, 2, 1"
    assert append("4, 5, 6", "4") == ([replaced], "test_f1: a 4")


def test_writers_of_one_file_wait_for_each_other(tmp_path):
    path = tmp_path / "new" / "results.csv"
    with ThreadPoolExecutor(4) as pool:  # a lock is of the open file, not of the process
        list(pool.map(lambda i: append_rows(path, [row(str(i), "test_f1", "1")]), range(24)))
    with open(path, newline="") as file:
        assert sorted(int(each["variant"]) for each in csv.DictReader(file)) == list(range(24))
    assert [each.name for each in path.parent.iterdir()] == ["results.csv"]


def test_a_file_that_cannot_be_written_is_refused_before_training(toy_task, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for results, message in (
        (tmp_path, "`results` must be a CSV file.*a folder"),
        (tmp_path / "other.csv" / "x" / "results.csv", "in a folder that can be written to"),
        (tmp_path / "binary", "`results` must be a CSV file.*codec"),
        (tmp_path / "other.csv", r"`results` must have the columns experiment,.*\['a', 'b'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            run_experiment(toy_task.toy, out=tmp_path / "runs", results=results)
    assert not (tmp_path / "runs").exists()


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
