"""The commands, as a user types them: the way from teacher to file, help, and bad input."""

import importlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest

from pams_tf import QuantizationRecipe, models
from pams_tf.data.images import read_image, write_image
from pams_tf.litert.flatbuffer import read_file

REPOSITORY = Path(__file__).parents[2]
COMMANDS = sorted(path.stem for path in (REPOSITORY / "tools").glob("*.py"))


def module_of(name):
    return "pams_tf.reproduce.command" if name == "reproduce" else f"pams_tf.commands.{name}"


def command(name, *arguments):
    """Run a command in this process; its exit status."""
    module = importlib.import_module(module_of(name))
    return module.main([f"{name}.py", *map(str, arguments)])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("PAMS_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(3)
    for index in range(3):
        coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
        path = tmp_path / "sets" / "Set3" / "HR" / f"{index}.png"
        write_image(path, coarse.repeat(5, 0).repeat(5, 1))
    return tmp_path / "sets" / "Set3"


NETWORK = ("--model=edsr_mobile", "--scale=2", "--blocks=1", "--features=4")
SHORT = ("--steps=2", "--checkpoint_every=2", "--batch_size=2", "--patch_size=8")


def test_from_float_training_to_an_evaluated_integer_file(photos, tmp_path, capsys):
    data = (f"--data={photos}", f"--valid_data={photos}")
    assert command("train", *NETWORK, *SHORT, *data, "--json=train.json") == 0
    assert json.loads(Path("train.json").read_text())["steps"] == 2
    assert (
        command(
            "finetune", *NETWORK, *SHORT, *data, "--calibration_steps=1", "--bits=8",
            "--teacher=runs/edsr_mobile_x2", "--name=student", "--json=finetune.json",
        )
        == 0
    )  # fmt: skip
    report = json.loads(Path("finetune.json").read_text())
    assert report["student"] == "runs/student/student.keras"
    assert report["recipe"]["bits"] == 8
    assert (
        command(
            "to_tflite", "--run=runs/student", "--input_size=16x20", "--out=out/x2.tflite",
            "--json=export.json",
        )
        == 0
    )  # fmt: skip
    assert sorted(path.name for path in Path("out").iterdir()) == ["x2.json", "x2.tflite"]
    assert QuantizationRecipe.load("out/x2.json") == QuantizationRecipe()
    (exported,) = json.loads(Path("export.json").read_text())
    operators = Counter(read_file("out/x2.tflite").operators)
    assert exported["operators"] == operators
    scales = {t.scales[0] for t in read_file("out/x2.tflite").tensors if len(t.scales) == 1}
    for alpha in exported["alphas"].values():
        assert np.float32(alpha) / np.float32(127) in scales
    assert command("to_tflite", "--run=runs/student", "--input_size=dynamic", "--edges=uint8") == 0
    assert read_file("runs/student/student_dynamic.tflite").io_tensors[0].dtype == "uint8"
    several = ("--input_size=16x20,8x8", "--out=some/x2.tflite", "--variants=float32,float16,ptq")
    assert command("to_tflite", "--run=runs/student", *several) == 0
    names = {path.name for path in Path("some").glob("*.tflite")}
    kinds = ("", "_float32", "_float16", "_ptq")
    assert names == {f"x2_{size}{kind}.tflite" for size in ("16x20", "8x8") for kind in kinds}
    assert read_file("some/x2_8x8_ptq.tflite").io_tensors[0].shape == (1, 8, 8, 3)
    results = {}
    for model in ("bicubic", "runs/edsr_mobile_x2", "runs/student", "out/x2.tflite"):
        arguments = ("--benchmark=Set3", f"--benchmark_dir={photos.parent}", "--scale=2")
        assert command("evaluate", f"--model={model}", *arguments, "--json=e.json") == 0
        (results[model],) = json.loads(Path("e.json").read_text())
        assert results[model]["benchmark"] == "Set3"
        assert results[model]["images"] == 3
        assert results[model]["scale"] == 2
    difference = results["runs/student"]["psnr"] - results["out/x2.tflite"]["psnr"]
    assert abs(difference) < 0.5
    assert results["bicubic"]["psnr"] > results["runs/student"]["psnr"]  # two steps teach little
    assert "fully integer" in capsys.readouterr().out


def test_a_rival_and_an_ablation_by_their_flags(photos, tmp_path, capsys):
    """Run folders are named by them, and the student exports."""
    teacher = Path("teacher.keras")
    models.save(models.build("edsr_mobile", 2, blocks=1, features=4), teacher)
    common = (*NETWORK, *SHORT, f"--data={photos}", f"--valid_data={photos}",
              f"--teacher={teacher}", "--calibration_steps=1")  # fmt: skip
    network = "runs/edsr_mobile_x2_blocks1_features4"
    for flags, name in (
        (("--method=tflite", "--bits=4", "--scope=all"), "tflite4_all"),
        (("--unsigned", "--skt_weight=0", "--initial_range=random"), "pams8_unsigned_skt0_random"),
    ):
        assert command("finetune", *common, *flags) == 0
        assert Path(f"{network}_{name}/student.keras").is_file()
    assert QuantizationRecipe.load(f"{network}_pams8_unsigned_skt0_random/recipe.json").unsigned
    run = f"--run={network}_tflite4_all"
    assert command("to_tflite", run, "--input_size=16x20", "--out=x2.tflite") == 0
    assert command("inspect_tflite", "--tflite=x2.tflite") == 0
    assert command("finetune", *common, "--method=dorefa", "--bits=8", "--name=wide") == 0
    capsys.readouterr()
    assert command("to_tflite", "--run=runs/wide", "--input_size=16x20") == 1
    assert "need 9 bits: int8 holds those of at most 7 bits" in capsys.readouterr().err


def test_import_weights(golden, tmp_path, capsys):
    data = golden("edsr_pams_official_bits8")
    released = {k.removeprefix("weights/"): v for k, v in data.items() if k.startswith("weights/")}
    np.savez("released.npz", **released)
    network = ("--model=edsr_baseline", "--scale=2", "--blocks=2", "--features=8")
    arguments = ("--source=released.npz", "--out=student.keras", *network)
    assert command("import_weights", *arguments, "--bits=8") == 0
    student = models.load("student.keras")
    alpha = released["body.1.quant_act3.alpha"][0]
    assert float(student.get_layer("block_1_residual").alpha) == alpha
    # The same file is no float network: its alphas and second convolutions have no place there.
    assert command("import_weights", *arguments[:1], "--out=float.keras", *network) == 1
    assert "missing: body.0.body.2.weight" in capsys.readouterr().err
    assert not Path("float.keras").exists()


def test_import_weights_tells_what_a_file_holds(tmp_path, capsys):
    """SRVGGNetCompact with ReLU, whose shapes fit LeakyReLU too, under Real-ESRGAN's wrapping."""
    rng = np.random.default_rng(2)
    state = {}
    for i, (outputs, inputs) in enumerate(((5, 3), (5, 5), (12, 5))):
        state[f"params.body.{2 * i}.weight"] = rng.normal(size=(outputs, inputs, 3, 3))
        state[f"params.body.{2 * i}.bias"] = rng.normal(size=outputs)
    np.savez("compact.npz", **state)
    assert command("import_weights", "--source=compact.npz") == 1
    error = capsys.readouterr().err
    assert "--layout compact_relu (grey " in error
    assert "--layout compact_leaky_relu (grey " in error
    chosen = ("--source=compact.npz", "--layout=compact_relu")
    assert command("import_weights", *chosen) == 0
    printed = capsys.readouterr().out
    assert "compact.npz: SRVGGNetCompact x2, RGB, 5 features, 3 convolutions, ReLU" in printed
    assert "--out FILE.keras" in printed
    assert [path.name for path in Path().glob("*.keras")] == []
    assert command("import_weights", *chosen, "--out=a.keras", "--json=a.json") == 0
    described = json.loads(Path("a.json").read_text())
    assert described["layout"] == "compact_relu"
    assert (described["scale"], described["channels"]) == (2, 3)
    model = keras.saving.load_model("a.keras", compile=False)
    assert model.count_params() == described["parameters"]
    for flags, message in (
        (("--scale=3",), "not x3"),
        (("--bits=8",), "has no setting bits"),
        (("--features=5",), "has no setting features"),
        (("--image_range=2",), "image_range=2 is not possible; give 1 or 255"),
        (("--model=edsr_mobile",), "--model and --layout both say what the source holds"),
    ):
        assert command("import_weights", *chosen, "--out=b.keras", *flags) == 1
        assert message in capsys.readouterr().err
    assert not Path("b.keras").exists()


@pytest.mark.parametrize(
    ("model", "lost"),
    [("edsr_mobile", 0.4), pytest.param("edsr_baseline", 0.1, marks=pytest.mark.slow)],
)
def test_the_demo(model, lost, monkeypatch, capsys):
    """One step instead of forty, and a small network; the rest is the real thing."""
    monkeypatch.setattr("pams_tf.demo.MODEL", model)
    assert command("demo", "--out=demo", "--steps=1", "--input_size=45x80") == 0
    report = json.loads(Path("demo/results.json").read_text())
    rows = {row["model"]: row for row in report["rows"]}
    zoo = ["zoo, 8 bit", "zoo, 4 bit"]
    assert list(rows) == ["bicubic", "float", "simulated 8 bit", "integer TFLite", *zoo]
    assert rows["float"]["psnr"] > rows["bicubic"]["psnr"] + 0.5
    assert abs(rows["integer TFLite"]["psnr"] - rows["float"]["psnr"]) < lost
    assert rows["integer TFLite"]["bytes"] < 0.3 * rows["float"]["bytes"]
    assert all(
        rows[name]["latency_ms"] > 0 for name in ("float", "simulated 8 bit", "integer TFLite")
    )
    for name in zoo:
        assert rows[name]["psnr"] > rows["bicubic"]["psnr"] + 0.5
        assert 0 < rows[name]["bytes"] < rows["float"]["bytes"]
    picture = read_image("demo/comparison.png")
    assert picture.shape[1] == 1600
    assert {t.dtype for t in read_file(f"demo/{model}_x4.tflite").tensors} == {
        "uint8", "int8", "int32",
    }  # fmt: skip
    assert "integer TFLite" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_worth_reading(name, capsys):
    assert command(name, "--help") == 0
    text = capsys.readouterr().out
    assert "Example" in text
    assert "--json" in text
    flags = importlib.import_module(module_of(name)).FLAGS
    assert all(len(flags[flag].help) > 8 for flag in flags)


def test_help_loads_nothing_heavy():
    """All commands in one process: none of them may import what takes seconds."""
    lines = ["import importlib, sys"]
    for name in COMMANDS:
        lines += [
            f"importlib.import_module({module_of(name)!r}).main(['x', '--help'])",
            "heavy = {'tensorflow', 'keras', 'numpy', 'matplotlib'} & set(sys.modules)",
            f"assert not heavy, ({name!r}, heavy)",
        ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, stdout=subprocess.DEVNULL)


def test_every_tool_is_a_console_command():
    text = (REPOSITORY / "setup.cfg").read_text()
    for name in COMMANDS:
        assert f"pams-{name.replace('_', '-')} = {module_of(name)}:main" in text


def test_old_names_of_flags_work_with_a_notice(capsys):
    assert command("finetune", "--preset=endless") == 1
    notice, error = capsys.readouterr().err.splitlines()
    assert notice == "finetune.py: --preset is now --budget"
    assert "unknown budget 'endless'" in error
    assert command("finetune", "--edge_bits", "1") == 1
    assert "--edge_bits is now --head_tail_bits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("finetune", "--bits=1"), 1, "bits=1 is not possible"),
        (("finetune", "--bits=eight"), 2, "invalid"),
        (("finetune", "--model=edsr_huge"), 1, "unknown network 'edsr_huge'"),
        (("finetune", "--method=magic"), 1, "method='magic'"),
        (("finetune", "--scope=head"), 1, "scope='head'"),
        (("finetune", "--unsigned", "--method=tflite"), 1, "unsigned=True is for method='pams'"),
        (("finetune", "--layer_bits=head:8"), 1, "layer_bits 'head:8' is not possible; give NAME"),
        (("finetune", "--alpha_rate=fast"), 1, "alpha_rate='fast' is not possible"),
        (("finetune", "--recipe=best", "--bits=1"), 1, "bits=1 is not possible"),
        (("finetune", "--initial_range=zero"), 1, "initial_range='zero' is not possible"),
        (("finetune", "--budget=endless"), 1, "unknown budget 'endless'; choose one of demo, "),
        (("finetune", "--recipe=none.json"), 1, "none.json: no such recipe file"),
        (("finetune", "--recipe=r.json", "--bits=8"), 1, "both say how to quantize"),
        (("finetune", "--nonsense"), 2, "nonsense"),
        (("finetune", "stray"), 2, "unexpected argument 'stray'"),
        (("finetune", "--data=nowhere"), 1, "nowhere: no such folder"),
        (("finetune", "--teacher=none.keras"), 1, "none.keras: no such file"),
        (("finetune", "--runs=file/below"), 1, "cannot write"),
        (("finetune", "--scale=7"), 1, "scale=7"),
        (("train", "--schedule=warm"), 2, "should be one of <halving|cosine>"),
        (("train", "--layers=3"), 1, "edsr_baseline has no setting 'layers'"),
        (("to_tflite",), 2, "run"),
        (("to_tflite", "--run=none"), 1, "none: no such run folder"),
        (("to_tflite", "--run=r", "--input_size=big"), 1, "size 'big' is not possible"),
        (("to_tflite", "--run=r", "--input_size="), 1, "--input_size is empty"),
        (("to_tflite", "--run=r", "--input_size=dynamic", "--variants=ptq"), 1, "need a size"),
        (("import_weights", "--source=none.pt", "--out=x.keras"), 1, "none.pt: no such file"),
        (("import_weights", "--source=a.npz", "--out=x.h5"), 1, "must end in .keras"),
        (("demo", "--picture=monalisa"), 1, "choose one of astronaut"),
        (("demo", "--out=file/below"), 1, "cannot write"),
        (("evaluate", "--model=bicubic", "--json=file/below.json"), 1, "cannot write"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, status, message, capsys):
    Path("file").write_text("in the way")
    Path("r.json").write_text("{}")
    assert command(*arguments) == status
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert "Traceback" not in error


def test_a_recipe_file_with_an_unknown_key(capsys):
    Path("recipe.json").write_text('{"bits": 4, "colour": "red"}')
    assert command("finetune", "--recipe=recipe.json") == 1
    assert "recipe.json: unknown key 'colour'; a recipe has" in capsys.readouterr().err


def test_export_refuses_what_it_cannot(photos, tmp_path, capsys):
    keras.utils.set_random_seed(1)
    from pams_tf.runs import RunFolder

    run = RunFolder("runs/wide")
    recipe = QuantizationRecipe(bits=16, scope="all")
    run.claim({}, recipe)
    models.save(models.build("edsr_mobile", 2, recipe, blocks=1, features=4), run.student)
    assert command("to_tflite", "--run=runs/wide", "--out=wide.tflite") == 1
    assert "16 bits cannot become an int8 file" in capsys.readouterr().err
    recipe = QuantizationRecipe(scope="all")
    models.save(models.build("edsr_mobile", 2, recipe, blocks=1, features=4), run.student)
    assert command("to_tflite", "--run=runs/wide", "--out=wide.tflite") == 1
    assert "it was never calibrated; make the student with" in capsys.readouterr().err
    teacher = models.build("edsr_mobile", 2, blocks=1, features=4)
    pixels = np.random.default_rng(3).integers(0, 256, (16, 20, 3), np.uint8)
    models.save(models.quantize(teacher, recipe, pixels), run.student)
    assert command("to_tflite", "--run=runs/wide", "--out=wide.bin") == 1
    assert "must end in .tflite" in capsys.readouterr().err
    assert command("to_tflite", "--run=runs/wide", "--out=runs/wide/recipe.json/x.tflite") == 1
    assert "cannot write" in capsys.readouterr().err
    assert not list(Path().rglob("wide.*"))
    assert not list(Path().rglob("*.tmp"))


def test_an_installed_tool_runs_as_a_script():
    tool = REPOSITORY / "tools" / "finetune.py"
    result = subprocess.run(
        [sys.executable, str(tool), "--bits=33"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("finetune.py: bits=33 is not possible")
    assert result.stderr.count("\n") == 1
