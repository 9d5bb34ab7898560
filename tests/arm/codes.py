"""Run integer .tflite files and keep every code; needs numpy and ai-edge-litert, nothing else.

Usage: codes.py FOLDER OUT.npz

FOLDER holds NAME.tflite beside NAME.npy, its inputs, (N, 1, H, W, 3). OUT.npz gets "machine", its
name, and of each file:

  NAME/delegates   parts of the graph that XNNPACK took
  NAME/xnnpack     outputs (N, H, W, 3) with XNNPACK's kernels
  NAME/builtin     output of the first input with LiteRT's own
  NAME/tensor_I    tensor I behind the first input, with XNNPACK's kernels
"""

import platform
import sys
import warnings
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def run(interpreter, image):
    """The output (1, H, W, 3) of one input, in codes."""
    (source,) = interpreter.get_input_details()
    (target,) = interpreter.get_output_details()
    interpreter.set_tensor(source["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(target["index"])


def tensors(interpreter):
    """(index, codes) of every tensor that the last run made or read."""
    for details in interpreter.get_tensor_details():
        try:
            yield details["index"], interpreter.get_tensor(details["index"])
        except ValueError:  # belongs to no operator, or to a delegate alone
            continue


def load(path, resolver, keep=False):
    with warnings.catch_warnings():  # keeping tensors warns of the memory it costs
        warnings.simplefilter("ignore")
        made = Interpreter(
            str(path),
            num_threads=1,
            experimental_op_resolver_type=resolver,
            experimental_preserve_all_tensors=keep,
        )
    made.allocate_tensors()
    return made


def codes_of(path):
    images = np.load(path.with_suffix(".npy"))
    xnnpack = load(path, OpResolverType.AUTO)
    yield "delegates", sum(op["op_name"] == "DELEGATE" for op in xnnpack._get_ops_details())
    yield "xnnpack", np.concatenate([run(xnnpack, image) for image in images])
    builtin = load(path, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    yield "builtin", run(builtin, images[0])
    keeping = load(path, OpResolverType.AUTO, keep=True)
    run(keeping, images[0])
    for index, codes in tensors(keeping):
        yield f"tensor_{index}", codes


if __name__ == "__main__":
    folder, out = sys.argv[1:]
    results = {"machine": platform.machine()}
    for path in sorted(Path(folder).glob("*.tflite")):
        results |= {f"{path.stem}/{key}": value for key, value in codes_of(path)}
    np.savez(out, **results)
