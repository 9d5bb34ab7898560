"""`.tflite` files whose bytes are damaged, and well-formed ones that say something else."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from damage import altered_text, damaged

from inputs import command

SHARE = 450
MOST_LINES = 2  # of upscale: which picture, and how many


def prepare(folder: Path) -> None:
    """A run, its files in every form, and a picture."""
    import keras

    import pams_tf
    from pams_tf import models
    from pams_tf.data.images import write_image
    from pams_tf.export.variants import convert_float
    from pams_tf.runs import RunFolder

    rng = np.random.default_rng(1)
    images = rng.uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    for index in range(2):
        write_image(folder / "Set" / "HR" / f"{index}.png", images[index].astype(np.uint8))
    keras.utils.set_random_seed(1)
    network = models.build("edsr_mobile", 2, blocks=1, features=4)
    files = {"float": convert_float(network, (16, 16))}
    for bits in (8, 4):
        recipe = pams_tf.QuantizationRecipe(bits=bits, scope="all")
        student = pams_tf.quantize(network, recipe, images)
        files[f"{bits}"] = pams_tf.convert(student, (16, 16), run="run")
        files[f"npu{bits}"] = pams_tf.convert(student, (24, 24), target="npu", io_dtype="int8")
        run = RunFolder(folder / f"run{bits}")
        run.claim({}, recipe)
        models.save(student, run.student)
    for name, content in files.items():
        (folder / f"{name}.tflite").write_bytes(content)


def make(rng: np.random.Generator, originals: Path) -> Callable[[], int]:
    name = str(rng.choice(sorted(path.stem for path in originals.glob("*.tflite"))))
    content = (originals / f"{name}.tflite").read_bytes()
    content = damaged(rng, content) if rng.random() < 0.3 else changed(rng, content)
    Path("x.tflite").write_bytes(content)
    choice = rng.random()
    if choice < 0.3:
        return command("inspect_tflite", "--tflite=x.tflite", "--json=out/x.json")
    if choice < 0.7:
        picture = f"--input={originals}/Set/HR/0.png"
        return command("upscale", "--model=x.tflite", picture, "--out=out", "--json=out/x.json")
    if choice < 0.85:
        where = (f"--benchmark_dir={originals}", "--benchmark=Set", "--scale=2")
        return command("evaluate", "--model=x.tflite", *where, "--save_images=out")
    if choice < 0.9:
        return command("npu_report", "--tflite=x.tflite", "--json=out/x.json")
    run = originals / f"run{4 if '4' in name else 8}"
    where = (f"--run={run}", f"--images={originals}/Set", "--out=out")
    return command("verify_tflite", "--tflite=x.tflite", *where)


GOES_ON = True  # a report names what differs or failed


def check(folder: Path, status: int) -> None:
    """JSON can be read, and a picture too."""
    from PIL import Image

    for path in (folder / "out").rglob("*"):
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                picture.load()


def changed(rng: np.random.Generator, content: bytes) -> bytes:
    """A well-formed file in which 1 to 3 things are others."""
    from ai_edge_litert import schema_py_generated as schema

    while True:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        builder = flatbuffers.Builder(1024)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for _ in range(int(rng.integers(1, 4))):
                    CHANGES[int(rng.integers(len(CHANGES)))](rng, model)
                builder.Finish(model.Pack(builder), b"TFL3")
        except (TypeError, ValueError, AttributeError, IndexError, OverflowError, AssertionError):
            continue  # what no file can hold, or the place is not there; another change
        return bytes(builder.Output())


def _pick(rng: np.random.Generator, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def _scale(rng: np.random.Generator, model: Any) -> None:
    quantization = _pick(rng, model.subgraphs[0].tensors).quantization
    values = (0.0, -1.0, np.nan, np.inf, 1e-45, 1e38, 1.0, 2.0**20, 2.0**-20, 2.0**-100)
    scales = np.array(quantization.scale, np.float32)
    scales[int(rng.integers(len(scales)))] = _pick(rng, values)
    quantization.scale = _pick(rng, (scales, scales, scales, [], [*scales, 1.0], None))


def _zero_point(rng: np.random.Generator, model: Any) -> None:
    quantization = _pick(rng, model.subgraphs[0].tensors).quantization
    values = (-(2**63), -(2**31), -129, -128, -1, 0, 1, 127, 128, 2**31, 2**62)
    quantization.zeroPoint = _pick(rng, ([_pick(rng, values)], [], [0, 0, 0], None))


def _quantized_axis(rng: np.random.Generator, model: Any) -> None:
    _pick(rng, model.subgraphs[0].tensors).quantization.quantizedDimension = _pick(
        rng, (-1, 1, 3, 4, 2**31 - 1)
    )


def _no_quantization(rng: np.random.Generator, model: Any) -> None:
    _pick(rng, model.subgraphs[0].tensors).quantization = None


def _type(rng: np.random.Generator, model: Any) -> None:
    _pick(rng, model.subgraphs[0].tensors).type = int(rng.integers(0, 22))


def _shape(rng: np.random.Generator, model: Any) -> None:
    tensor = _pick(rng, model.subgraphs[0].tensors)
    shape = list(tensor.shape)
    shape[int(rng.integers(len(shape)))] = _pick(rng, (-1, 0, 1, 2, 5, 2**16, 2**31 - 1))
    tensor.shape = _pick(rng, (shape, shape, shape, [], [1] * 9, None))


def _signature(rng: np.random.Generator, model: Any) -> None:
    _pick(rng, model.subgraphs[0].tensors).shapeSignature = _pick(
        rng, ([-1] * 4, [1, -1, -1, 3], [], [0, 0, 0, 0])
    )


def _buffer(rng: np.random.Generator, model: Any) -> None:
    _pick(rng, model.subgraphs[0].tensors).buffer = _pick(
        rng, (0, 1, len(model.buffers) - 1, len(model.buffers), 2**32 - 1)
    )


def _data(rng: np.random.Generator, model: Any) -> None:
    buffer = _pick(rng, [found for found in model.buffers if found.data is not None])
    content = damaged(rng, bytes(bytearray(buffer.data)), 2)
    buffer.data = np.frombuffer(content, np.uint8) if content else None


def _inputs(rng: np.random.Generator, model: Any) -> None:
    graph = model.subgraphs[0]
    holder = _pick(rng, [*graph.operators, *graph.operators, graph])
    field = _pick(rng, ("inputs", "outputs"))
    indices = list(getattr(holder, field))
    most = len(graph.tensors)
    wrong = _pick(rng, (-1, 0, int(rng.integers(most)), most, 2**31 - 1))
    indices[int(rng.integers(len(indices)))] = wrong
    setattr(holder, field, _pick(rng, (indices, indices, indices, [], indices * 2, None)))


def _operator(rng: np.random.Generator, model: Any) -> None:
    code = _pick(rng, model.operatorCodes)
    code.builtinCode = int(rng.integers(0, 210))
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = _pick(rng, (1, 1, 2, 3, 99, -1))


def _opcode(rng: np.random.Generator, model: Any) -> None:
    operator = _pick(rng, model.subgraphs[0].operators)
    operator.opcodeIndex = _pick(rng, (*range(len(model.operatorCodes)), 999))


def _options(rng: np.random.Generator, model: Any) -> None:
    operator = _pick(rng, model.subgraphs[0].operators)
    options = operator.builtinOptions
    field = _pick(rng, sorted(vars(options)))
    setattr(options, field, _pick(rng, (0, 1, 2, 3, 5, -1, 127, 2**31 - 1)))
    if rng.random() < 0.2:
        operator.builtinOptions, operator.builtinOptionsType = None, 0


def _order(rng: np.random.Generator, model: Any) -> None:
    operators = model.subgraphs[0].operators
    first, second = (int(rng.integers(len(operators))) for _ in range(2))
    operators[first], operators[second] = operators[second], operators[first]
    if rng.random() < 0.3:
        del operators[first]


def _graphs(rng: np.random.Generator, model: Any) -> None:
    model.subgraphs = _pick(rng, ([], model.subgraphs * 2, None))


def _names(rng: np.random.Generator, model: Any) -> None:
    _pick(rng, model.subgraphs[0].tensors).name = _pick(
        rng, (None, b"", b"\x1b[31mred", b"\xff\xfe", b"x" * 5000, b"two\nlines", b"lr", b"[b]/")
    )


def _metadata(rng: np.random.Generator, model: Any) -> None:
    entry = _pick(rng, model.metadata)
    buffer = model.buffers[entry.buffer]
    content = bytes(bytearray(buffer.data))
    if content[:1] == b"{":
        content = altered_text(rng, json.loads(content))
    else:
        content = damaged(rng, content)
    buffer.data = np.frombuffer(content, np.uint8)
    if rng.random() < 0.1:
        entry.buffer = _pick(rng, (0, 10**6))


def _version(rng: np.random.Generator, model: Any) -> None:
    model.version = _pick(rng, (0, 2, 4, 2**32 - 1))


CHANGES = (
    _scale, _scale, _zero_point, _quantized_axis, _no_quantization, _type, _shape, _signature,
    _buffer, _data, _inputs, _inputs, _operator, _opcode, _options, _order, _graphs, _names,
    _metadata, _metadata, _version,
)  # fmt: skip
