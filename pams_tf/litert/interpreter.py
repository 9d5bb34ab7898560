"""A small class around a .tflite image model: pixels in, pixels out, for every tensor type."""

import contextlib
import os
import warnings
from typing import Any

import numpy as np

from pams_tf.errors import InputError
from pams_tf.litert.flatbuffer import name_of, read_bytes, read_file
from pams_tf.streams import stderr_held

KERNELS = {
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
"""LiteRT's sets of kernels: XNNPACK's, the default on a CPU; its built-in ones without XNNPACK; and
the reference kernels that define what an operator computes. The value names the op resolver."""


class ImageInterpreter:
    """A LiteRT interpreter for a file that maps one image to one image.

    Args:
      source: path of a .tflite file, or its content.
      num_threads: number of threads; None takes one per core that this process may use.
      kernels: a key of `KERNELS`.
      keep_tensors: keep the result of every operator for `codes`; takes memory, changes no code.

    Attributes:
      name: the file, for messages.
      scale: upscaling factor.
      input, output: the runtime's details of the two tensors, after allocation.

    Raises:
      InputError: the file is missing, truncated or of another format; it does not take one image
        (1, h, w, C) and return one image (1, H, W, C), with C 3 or 1, of float32, int8 or uint8; or
        its upscaling factor is not an integer.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes,
        num_threads: int | None = None,
        *,
        kernels: str = "xnnpack",
        keep_tensors: bool = False,
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        if kernels not in KERNELS:
            raise InputError(f"kernels={kernels!r} is not possible; choose {', '.join(KERNELS)}")
        self.name, content = name_of(source), read_bytes(source)
        read_file(content, self.name)  # refuses what would end the process
        self._allocated: tuple[int, ...] | None = None
        try:
            with (
                _announcement(kernels),
                warnings.catch_warnings(),  # LiteRT warns that keeping tensors takes memory
            ):
                warnings.filterwarnings("ignore", ".*experimental_preserve_all_tensors.*")
                self._interpreter = Interpreter(
                    model_content=content,
                    num_threads=num_threads or available_cores(),
                    experimental_op_resolver_type=OpResolverType[KERNELS[kernels]],
                    experimental_preserve_all_tensors=keep_tensors,
                )
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.name} cannot be run as a TensorFlow Lite model ({_first_line(error)}); "
                "it may be truncated or of another kind: export or copy it again"
            ) from error
        self._refresh()
        self.scale = self._scale()

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """The (height, width) that the file was exported for; None if it leaves them open."""
        height, width = self.input["shape_signature"][1:3]
        return None if min(height, width) < 0 else (int(height), int(width))

    @property
    def channels(self) -> int:
        """Channels of the image: 3 for RGB, 1 for Y."""
        return int(self.input["shape"][3])

    def resize(self, height: int, width: int) -> None:
        """Resize the input; tensors are allocated again only if the size differs.

        Raises:
          InputError: the graph has constants that depend on its size.
        """
        shape = (1, height, width, self.channels)
        if shape == self._allocated:
            return
        self._allocated = None  # until the allocation has succeeded
        try:
            self._interpreter.resize_tensor_input(self.input["index"], shape)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.name} cannot take an image of {height}x{width} ({_first_line(error)}); "
                "export it for that size"
            ) from error
        self._refresh()

    def run(self, image: np.ndarray) -> np.ndarray:
        """Upscale an image of the current size: uint8 (h, w, C) -> uint8 (H, W, C).

        Raises:
          InputError: as in `invoke`.
        """
        self.set_image(image)
        self.invoke()
        return self.image()

    def set_image(self, image: np.ndarray) -> None:
        """Write an image (h, w, C) in [0, 255] of the current size into the input tensor."""
        self._interpreter.set_tensor(self.input["index"], _to_codes(image, self.input)[None])

    def invoke(self) -> None:
        """Run the graph once.

        Raises:
          InputError: an operator failed, for example by reading an uninitialized variable.
        """
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise InputError(
                f"{self.name} fails when run ({_first_line(error)}); export it again"
            ) from error

    def image(self) -> np.ndarray:
        """The output tensor as a uint8 image (H, W, C): rounded half to even, clipped."""
        codes = self._interpreter.get_tensor(self.output["index"])[0]
        return to_image(_from_codes(codes, self.output))

    def codes(self, index: int) -> np.ndarray:
        """A tensor after the last run: any with `keep_tensors`, otherwise the input or output."""
        return self._interpreter.get_tensor(index)

    def _refresh(self) -> None:
        """Read the tensors' details again; their shapes are known only after allocation."""
        self.input = self._only("input", self._interpreter.get_input_details())
        self._allocated = tuple(map(int, self.input["shape"]))
        self.output = self._only("output", self._interpreter.get_output_details())

    def _scale(self) -> int:
        (height, width), (out_height, out_width) = (
            map(int, details["shape"][1:3]) for details in (self.input, self.output)
        )
        scale = out_height // height
        if scale < 1 or (out_height, out_width) != (height * scale, width * scale):
            raise InputError(
                f"{self.name} turns {height}x{width} into {out_height}x{out_width}, which is not "
                "an integer upscaling factor; give a super-resolution model"
            )
        return scale

    def _only(self, role: str, details: list[dict[str, Any]]) -> dict[str, Any]:
        if len(details) != 1:
            raise InputError(
                f"{self.name} has {len(details)} {role} tensors; give an image model, which has one"
            )
        (tensor,) = details
        shape, dtype = tuple(map(int, tensor["shape"])), np.dtype(tensor["dtype"])
        if len(shape) != 4 or shape[0] != 1 or shape[3] not in (1, 3):
            raise InputError(
                f"{self.name} has an {role} of shape {shape}; give an image model, (1, h, w, 3) "
                "or (1, h, w, 1)"
            )
        if dtype not in (np.float32, np.int8, np.uint8):
            raise InputError(
                f"{self.name} has an {role} of type {dtype}; export it as float32, int8 or uint8"
            )
        return tensor


_announced = False


def _announcement(kernels: str) -> contextlib.AbstractContextManager[None]:
    """LiteRT says once in a process that it made its delegate: this holds that line back."""
    global _announced
    first, _announced = not _announced, _announced or kernels == "xnnpack"
    return (
        stderr_held(released=False) if first and kernels == "xnnpack" else contextlib.nullcontext()
    )


def available_cores() -> int:
    """The number of cores that this process may use. LiteRT's own default is a single one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def to_image(values: np.ndarray) -> np.ndarray:
    """Real values, nominally in [0, 255], as uint8: rounded half to even, clipped; any shape."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _to_codes(image: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(details["dtype"])
    if dtype == np.float32:
        return image.astype(np.float32)
    scale, zero_point = details["quantization"]
    # A scale of 0 means that the tensor is not quantized: its integers are the pixel values.
    codes = np.rint(image / scale) + zero_point if scale else image
    limits = np.iinfo(dtype)
    return np.clip(codes, limits.min, limits.max).astype(dtype)


def _from_codes(codes: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero_point = details["quantization"]
    if codes.dtype == np.float32 or not scale:
        return codes
    return (codes.astype(np.float64) - zero_point) * scale


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
