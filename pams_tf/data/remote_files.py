"""The files that can be downloaded: benchmarks, released teachers, DIV2K; with their checksums."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A file to download. `sha256` is None if its publisher gives none."""

    url: str
    sha256: str | None = None
    unpack: bool = False

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]


_EDSR = "https://cv.snu.ac.kr/research/EDSR"
_DIV2K = "http://data.vision.ee.ethz.ch/cvl/DIV2K"
BENCHMARKS = RemoteFile(f"{_EDSR}/benchmark.tar", unpack=True)
TEACHERS = {
    2: RemoteFile(
        f"{_EDSR}/models/edsr_baseline_x2-1bc95232.pt",
        "1bc9523228fdc3b0a5ddb0d7062001e22b31bbb398ae09cfdefb97e8ee06e171",
    ),
    3: RemoteFile(
        f"{_EDSR}/models/edsr_baseline_x3-abf2a44e.pt",
        "abf2a44e7a137228efa42a4264a23e12603168d43ac7596b1adef40c649b9240",
    ),
    4: RemoteFile(
        f"{_EDSR}/models/edsr_baseline_x4-6b446fab.pt",
        "6b446fab734f4de74448d2fd1f3f990f5bae726e49dc7eff2ae9cefe444a1723",
    ),
}


# As recorded by TensorFlow Datasets (datasets/div2k/checksums.tsv).
_DIV2K_SUMS = {
    "train_HR": "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
    "train_LR_bicubic_X2": "a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850",
    "train_LR_bicubic_X3": "ad5c8e5507e2765823d3c2c5bd0934842efcd487c5370604c224090898b3163a",
    "train_LR_bicubic_X4": "f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a",
    "valid_HR": "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    "valid_LR_bicubic_X2": "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57",
    "valid_LR_bicubic_X3": "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3",
    "valid_LR_bicubic_X4": "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553",
}


def div2k_files(scale: int) -> list[RemoteFile]:
    """DIV2K's four archives for one scale (2, 3, 4): HR and LR, training and validation."""
    return [
        RemoteFile(f"{_DIV2K}/DIV2K_{part}.zip", _DIV2K_SUMS[part], unpack=True)
        for split in ("train", "valid")
        for part in (f"{split}_HR", f"{split}_LR_bicubic_X{scale}")
    ]
