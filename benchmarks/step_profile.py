"""What the time of a fine-tuning step is spent on; see --help."""

import glob
import re
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import flags

from pams_tf.commands import cli

DESCRIPTION = """What a fine-tuning step (EDSR-baseline x4, teacher and student) spends its time on:
a table, a figure, and with --json the numbers.

Example: python benchmarks/step_profile.py --out step.png --json step.json

1. TensorFlow's profiler measures every operator; of --rounds steps, the shortest time of each
   counts. Operators are grouped by the scope and the layer that they belong to.
2. The step is timed in turn with its bare convolutions, those of the teacher forward and of the
   student forward and backward, without anything between them
   (goal: quantizers, losses and optimizer add at most 10 %).
3. Page faults and system time say what allocation costs; the input is timed on its own.
"""

FLAGS = cli.command_flags()
flags.DEFINE_integer("rounds", 6, "Number of steps measured.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("batch_size", 16, "Patches per step.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("bits", 8, "Bit width of the student's body.", flag_values=FLAGS)
flags.DEFINE_string("out", None, "Also draw the shares to this PNG.", flag_values=FLAGS)

STUDENT, TEACHER = "convolutions of the student", "convolutions of the teacher"
QUANTIZERS, LOSS, OPTIMIZER = "quantizers", "losses", "optimizer"
REST = "rest of the networks"
GROUPS = (STUDENT, TEACHER, QUANTIZERS, LOSS, OPTIMIZER, REST)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measurement; `argv` includes the program's name. Returns the exit status."""
    return cli.run(_profile, FLAGS, DESCRIPTION, argv)


def _profile() -> dict[str, Any]:
    cli.load_tensorflow()
    import steps
    from speed import input_speed

    from pams_tf.reporting.machine import machine, processor_features
    from pams_tf.reporting.tables import print_table

    distiller, (lr, hr) = steps.distiller(FLAGS.bits, FLAGS.batch_size)
    step = steps.step(distiller, lr, hr)
    seconds = steps.timed(
        {"step": step, "bare convolutions": bare_convolutions(distiller, lr)}, FLAGS.rounds
    )
    best = {name: min(times) for name, times in seconds.items()}
    operators = Counter[str]()
    for name, duration in shortest(step, FLAGS.rounds).items():
        operators[group_of(name, _quantized_layers(distiller.student))] += duration
    whole = sum(operators.values())
    faults, system = _allocation(step)
    cutting = FLAGS.batch_size / input_speed(FLAGS.batch_size)
    features = processor_features()
    title = (
        f"A fine-tuning step of EDSR-baseline x4, {FLAGS.bits} bits, batch {FLAGS.batch_size}, "
        "LR patch 48"
    )
    print(f"{machine()['cpu']}, {machine()['cores']} cores ({' '.join(features or ())})")
    print_table(
        title,
        ("operators", "share"),
        [(name, f"{operators[name] / whole:.1%}") for name in GROUPS],
    )
    over = best["step"] / best["bare convolutions"] - 1
    print(f"step {best['step']:.2f} s, {over:.1%} over its bare convolutions")
    print(f"allocation: {faults:,.0f} page faults and {system:.2f} s of system time a step")
    print(f"input: {cutting:.3f} s of processor time a step, ahead of it in another thread")
    result = {
        "machine": {**machine(), "features": features},
        "batch_size": FLAGS.batch_size,
        "bits": FLAGS.bits,
        "shares": {name: operators[name] / whole for name in GROUPS},
        "seconds": seconds,
        "over_bare_convolutions": over,
        "page_faults": faults,
        "system_seconds": system,
        "input_seconds": cutting,
    }
    if FLAGS.out:
        _draw(FLAGS.out, title, result)
    return result


def bare_convolutions(distiller: Any, lr: Any) -> Callable[[], float]:
    """A function that computes the convolutions of a step, one after another, and nothing else."""
    import tensorflow as tf

    kernels = {
        layer.name: tf.Variable(layer.kernel)
        for layer in distiller.teacher.layers
        if hasattr(layer, "kernel")
    }
    image = tf.constant(lr)

    def convolved(names: Sequence[str]) -> Any:
        x = image
        for name in names:
            x = tf.nn.conv2d(x, kernels[name], 1, "SAME")
            if name.startswith("upsample"):  # the shape of a depth-to-space, without its moves
                n, h, w, c = x.shape
                x = tf.reshape(x, (n, 2 * h, 2 * w, c // 4))
        return x

    names = list(kernels)
    of_feature = names[: names.index("body") + 1]

    @tf.function(jit_compile=False)
    def step() -> Any:
        taught = convolved(of_feature)
        with tf.GradientTape() as tape:
            sr = convolved(names)
        gradients = tape.gradient(sr, list(kernels.values()))
        return tf.add_n([x[0, 0, 0, 0] for x in (taught, *gradients)])

    return lambda: float(step())


def shortest(step: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Seconds of every operator of a step, "name:type", in the step where it took least."""
    found: dict[str, float] = {}
    for _ in range(rounds):
        for name, duration in _operators(step).items():
            found[name] = min(duration, found.get(name, duration))
    return found


def _operators(step: Callable[[], Any]) -> Counter[str]:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            step()
        (path,) = glob.glob(f"{folder}/plugins/profile/*/*.xplane.pb")
        durations = Counter[str]()
        for name, seconds in _events(path):
            if re.search(r":[A-Z_]\w*$", name) and "::" not in name:
                durations[name] += seconds
    return durations


def _events(path: str) -> Iterator[tuple[str, float]]:
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    with open(path, "rb") as file:
        space.ParseFromString(file.read())
    for plane in space.planes:
        if "CPU" in plane.name:
            for line in plane.lines:
                for event in line.events:
                    yield plane.event_metadata[event.metadata_id].name, event.duration_ps / 1e12


def group_of(operator: str, quantized: frozenset[str]) -> str:
    """The group of an operator, by its name in the graph and the names of quantized layers."""
    name, _, kind = operator.rpartition(":")
    parts = [part for part in name.split("/") if part != "gradient_tape"]
    if "Conv2D" in kind:
        return TEACHER if parts[0] == "teacher" else STUDENT
    if re.fullmatch(r"optimizer(_\d+)?", parts[0]):
        return OPTIMIZER
    if kind == "AddN" or parts[0] == "teacher":  # the gradients of a tensor with two readers
        return REST
    if parts[0] == "gradients":  # those that we define ourselves
        return QUANTIZERS
    if parts[0] == "student":
        layer = re.sub(r"_\d+$", "", parts[2]) if len(parts) > 2 else ""
        return QUANTIZERS if layer in quantized else REST
    return LOSS


def _quantized_layers(student: Any) -> frozenset[str]:
    from pams_tf.quantization import QuantConv2D
    from pams_tf.quantization.base import Quantizer

    kinds = (QuantConv2D, Quantizer)
    return frozenset(layer.name for layer in student.layers if isinstance(layer, kinds))


def _allocation(step: Callable[[], Any], rounds: int = 3) -> tuple[float, float]:
    """Page faults and seconds of system time of a step."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(rounds):
        step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (
        (after.ru_minflt - before.ru_minflt) / rounds,
        (after.ru_stime - before.ru_stime) / rounds,
    )


def _draw(path: str, title: str, result: dict[str, Any]) -> None:
    from pams_tf.reporting.plots.style import BLUE, new_figure, plain, save

    whole = min(result["seconds"]["step"])
    shares = {**result["shares"]}
    shares["allocation (system time)"] = result["system_seconds"] / whole
    shares["input (in another thread)"] = result["input_seconds"] / whole
    figure = new_figure(4.2)
    axes = figure.subplots()
    bars = axes.barh(list(shares), [100 * share for share in shares.values()], color=BLUE)
    axes.bar_label(bars, [f"{share:.1%}" for share in shares.values()], padding=4)
    axes.invert_yaxis()
    axes.set_xlabel("% of the step")
    axes.set_title(plain(title), loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1)
    save(figure, path)


if __name__ == "__main__":
    sys.exit(main())
