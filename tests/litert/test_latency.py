"""The clock: how often it runs, in which order, and what the figures are."""

import numpy as np
import pytest

from pams_tf.errors import InputError
from pams_tf.litert import latency
from pams_tf.litert.latency import paired_latency, tflite_latency


class _Clock:
    """A clock under the test's control: each inference takes the next of `durations` seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.durations: list[float] = []
        self.order: list[int] = []

    def perf_counter(self) -> float:
        return self.now

    def run(self, interpreter: latency.ImageInterpreter) -> None:
        self.order.append(id(interpreter))
        self.now += self.durations.pop(0)


@pytest.fixture
def clock(monkeypatch):
    clock = _Clock()
    monkeypatch.setattr(latency, "time", clock)
    monkeypatch.setattr(latency.ImageInterpreter, "invoke", lambda self: clock.run(self))
    return clock


def test_latency_is_of_the_runs_after_the_warm_up(tflite, clock):
    clock.durations = [9.0, 9.0, 0.005, 0.001, 0.003, 0.002, 0.004]
    result = tflite_latency(tflite["int8"], warmup=2, seconds=0.0, min_runs=5)
    assert result.runs == 5
    assert result.median_ms == pytest.approx(3.0)
    assert result.min_ms == pytest.approx(1.0)
    assert result.p90_ms == pytest.approx(4.6)
    assert result.input_shape == (1, 6, 8, 3)
    assert clock.durations == []


def test_latency_goes_on_for_the_seconds_asked(tflite, clock):
    clock.durations = [0.25] * 20
    assert tflite_latency(tflite["int8"], warmup=0, seconds=2.0, min_runs=1).runs == 8


def test_pairs_alternate_and_the_ratio_is_taken_round_by_round(tflite, clock):
    # The machine slows tenfold for the last rounds: the medians mix that in, the ratio does not.
    clock.durations = [0.001, 0.002, 0.010, 0.020, 0.010, 0.020]
    result = paired_latency(tflite["int8"], tflite["float32"], rounds=3, warmup=0)
    assert result.ratio == pytest.approx(2.0)
    assert (result.a.median_ms, result.b.median_ms) == pytest.approx((10.0, 20.0))
    assert result.a.runs == result.b.runs == 3
    first, second = clock.order[:2]
    assert first != second
    assert clock.order == [first, second] * 3


def test_real_times_are_ordered(tflite, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite["int8"])
    result = tflite_latency(path, num_threads=1, warmup=1, seconds=0.0, min_runs=7)
    assert result.runs == 7
    assert 0 < result.min_ms <= result.median_ms <= result.p90_ms


def test_what_the_clock_refuses(tflite, tmp_path):
    with pytest.raises(InputError, match="min_runs is 0"):
        tflite_latency(tflite["int8"], min_runs=0)
    with pytest.raises(InputError, match="rounds is 0"):
        paired_latency(tflite["int8"], tflite["int8"], rounds=0)
    with pytest.raises(InputError, match="leaves its input size open"):
        tflite_latency(tflite["open"])
    with pytest.raises(InputError, match=r"gone\.tflite"):
        tflite_latency(tmp_path / "gone.tflite")


def test_the_input_is_seeded(tflite, monkeypatch):
    seen = []
    monkeypatch.setattr(
        latency.ImageInterpreter, "set_image", lambda self, image: seen.append(image)
    )
    for _ in range(2):
        tflite_latency(tflite["int8"], warmup=0, seconds=0.0, min_runs=1)
    np.testing.assert_array_equal(seen[0], seen[1])
    assert seen[0].shape == (6, 8, 3)
    assert seen[0].std() > 50
