"""Which runs a table needs, what they are called, and what they will cost."""

import dataclasses
import json
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from pams_tf import InputError, models
from pams_tf.data.images import write_image
from pams_tf.reproduce import costs, tables
from pams_tf.reproduce.budgets import BUDGETS
from pams_tf.reproduce.measure import find_benchmarks
from pams_tf.reproduce.networks import Catalogue, Given, Job, with_teachers
from pams_tf.training.jobs import train
from pams_tf.training.settings import FEW_BITS


def jobs(number, budget="cpu", **fields):
    table = tables.MEASURED[number](Catalogue(BUDGETS[budget], Path("runs"), **fields))
    return {job.name: job for job in with_teachers(table.networks)}


def test_table_2_is_four_methods_on_one_teacher_with_equal_settings():
    runs = jobs(2).values()
    methods = [(name, False, "eq3") for name in ("dorefa", "tflite", "pact", "pams")]
    methods += [("pams", False, "rounding"), ("pams", True, "rounding")]
    assert sorted(
        (j.recipe.method, j.recipe.unsigned, j.recipe.alpha_gradient, j.recipe.bits) for j in runs
    ) == sorted((*method, bits) for method in methods for bits in (8, 4, 4, 4))
    seeds = {(job.recipe.bits, job.settings.seed) for job in runs}
    assert seeds == {(8, 1), (4, 1), (4, 2), (4, 3)}
    assert {job.recipe.scope for job in runs} == {"body"}
    assert {type(job.teacher) for job in runs} == {Given}
    for bits, rate in ((8, 1e-5), (4, FEW_BITS["learning_rate"])):
        texts = set()
        for job in runs:
            if job.recipe.bits == bits:
                fields = job.settings.to_dict()
                fields.pop("seed")
                learned = job.recipe.method in ("pams", "pact")
                # What moves no range of the others.
                assert fields.pop("alpha_learning_rate") == (0.3 if learned else 1e-2)
                texts.add(json.dumps(fields))
        (text,) = texts
        settings = json.loads(text)
        assert (settings["steps"], settings["batch_size"]) == (300, 8)
        assert (settings["learning_rate"], settings["skt_weight"]) == (rate, 1000.0)
        assert (settings["model"], settings["scale"]) == ("edsr_baseline", 4)
        assert settings["teacher"] is None


def test_runs_are_shared_between_tables_and_changed_ones_are_not():
    methods, starts, skt = (jobs(number) for number in (2, 5, 6))
    common = set(methods) & set(starts) & set(skt)
    assert {(methods[n].recipe.method, methods[n].recipe.bits) for n in common} == {
        ("pams", 8),
        ("pams", 4),
    }
    extra = [job for name, job in {**starts, **skt}.items() if name not in methods]
    assert len(extra) == 4
    assert {(job.settings.initial_range, job.settings.skt_weight) for job in extra} == {
        ("random", 1000.0),
        ("ema", 0.0),
    }


def test_table_4_trains_teachers_with_and_without_batch_normalization():
    runs = list(jobs(4).values())
    kinds = {
        (job.settings.overrides.get("batch_norm", False), job.recipe and job.recipe.method)
        for job in runs
    }
    assert kinds == {(True, None), (True, "pact"), (False, None), (False, "pact"), (False, "pams")}
    assert len(runs) == 5
    for index, job in enumerate(runs):
        if job.recipe:
            assert job.teacher.name in [earlier.name for earlier in runs[:index]]
            assert job.teacher.settings.overrides == job.settings.overrides
            assert job.settings.teacher == str(job.teacher.run.path)


def test_the_paper_budget_is_the_papers_setting():
    runs = jobs(1, "paper").values()
    students = [job for job in runs if job.recipe]
    assert {(j.settings.model, j.scale, j.recipe.bits) for j in students} == {
        (model, scale, bits)
        for model in ("edsr_baseline", "rdn")
        for scale in (2, 4)
        for bits in (8, 4)
    }
    for job in students:
        settings = job.settings
        assert settings.steps == 30 * 1000
        assert settings.halve_every == 10 * 1000
        assert (settings.batch_size, settings.learning_rate) == (16, 1e-4)
        assert (settings.alpha_learning_rate, settings.skt_weight) == (1e-2, 1000.0)
        assert settings.patch_size == (24 if (settings.model, job.scale) == ("rdn", 4) else 48)
    floats = {(job.settings.model, job.scale) for job in runs if not job.recipe}
    assert floats == {("edsr_baseline", 2), ("edsr_baseline", 4), ("rdn", 2), ("rdn", 4)}


def test_given_teachers_are_not_trained(tmp_path):
    path = tmp_path / "rdn_x4.keras"
    models.save(models.build("edsr_mobile", 4, blocks=1, features=4), path)
    runs = jobs(1, "paper", teachers=tmp_path).values()
    assert ("rdn", 4) not in {(job.settings.model, job.scale) for job in runs if not job.recipe}
    students = [j for j in runs if j.recipe and (j.settings.model, j.scale) == ("rdn", 4)]
    assert [job.settings.teacher for job in students] == [str(path)] * 2


def test_a_name_follows_from_images_and_settings_and_not_from_where_they_lie(tmp_path):
    for folder in ("a", "b"):
        write_image(tmp_path / folder / "photos" / "1.png", np.zeros((9, 9, 3), np.uint8))
    first = set(jobs(2, data=str(tmp_path / "a" / "photos")))
    assert first == set(jobs(2, data=str(tmp_path / "b" / "photos")))
    assert first.isdisjoint(jobs(2))
    write_image(tmp_path / "c" / "photos" / "1.png", np.zeros((9, 9, 3), np.uint8))
    write_image(tmp_path / "c" / "photos" / "2.png", np.zeros((9, 9, 3), np.uint8))
    assert first.isdisjoint(jobs(2, data=str(tmp_path / "c" / "photos")))
    longer = dataclasses.replace(BUDGETS["cpu"], student={**BUDGETS["cpu"].student, "steps": 301})
    table = tables.table_2(Catalogue(longer, Path("runs")))
    assert set(jobs(2)).isdisjoint(job.name for job in with_teachers(table.networks))


def test_the_disk_estimate_holds_what_a_run_really_takes(tiny, tmp_path):
    catalogue = Catalogue(tiny, tmp_path / "runs")
    teacher = catalogue.float_network("EDSR")
    assert isinstance(teacher, Job)
    needed = costs.check_disk([teacher], catalogue.runs)
    train(teacher.settings, teacher.run)
    used = sum(path.stat().st_size for path in teacher.run.path.rglob("*"))
    assert used < needed["runs"]
    packed = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.bin"))
    assert packed == needed["images"]
    assert costs.check_disk([teacher], catalogue.runs)["images"] == 0


def test_a_plan_that_the_disk_cannot_hold_is_refused(tiny, tmp_path, monkeypatch):
    catalogue = Catalogue(tiny, tmp_path / "runs")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(InputError, match=r"needs 0\.\d\d GB for runs and images \(1 runs\), but "):
        costs.check_disk([catalogue.float_network("EDSR")], catalogue.runs)


def test_durations_read_well():
    told = [costs.duration(seconds) for seconds in (4.4, 600, 9000)]
    assert told == ["4 s", "10 min", "2.5 h"]


def test_sets_that_are_missing_are_said_or_refused(tmp_path):
    write_image(tmp_path / "Set5" / "HR" / "a.png", np.zeros((16, 16, 3), np.uint8))
    found = find_benchmarks(BUDGETS["cpu"], str(tmp_path))
    assert found.names == ("Set5",)
    assert found.missing == ("Set14", "B100", "Urban100")
    with pytest.raises(InputError, match="no benchmark 'B100' .* there are Set5"):
        find_benchmarks(BUDGETS["cpu"], str(tmp_path), ["Set5", "B100"])
    with pytest.raises(InputError, match="unknown set 'Manga109'; the cpu budget has Set5, Set14"):
        find_benchmarks(BUDGETS["cpu"], str(tmp_path), ["Manga109"])
    with pytest.raises(InputError, match="no benchmark 'Set5' .* holds no NAME/HR folder"):
        find_benchmarks(BUDGETS["cpu"], str(tmp_path / "Set5"))
    with pytest.raises(InputError, match="the cpu budget needs --benchmark_dir"):
        find_benchmarks(BUDGETS["cpu"], None)
    with pytest.raises(InputError, match="the set B100 needs --benchmark_dir"):
        find_benchmarks(BUDGETS["smoke"], None, ["B100"])
    assert find_benchmarks(BUDGETS["smoke"], None).names == ("sample",)
