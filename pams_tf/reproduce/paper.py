"""The paper's results: Li et al., PAMS, ECCV 2020, Tables 1 to 6. PSNR in dB and SSIM, on Y.

Sets are named like their folders: B100 is the paper's BSD100.
"""

SETS = ("Set5", "Set14", "B100", "Urban100")
TABLES = (1, 2, 3, 4, 5, 6)
FIGURES = (2, 3, 4, 5)
BITS = (8, 4)

Pair = tuple[float, float]

BICUBIC = "bicubic"
FAMILIES = ("EDSR", "RDN")
TABLE_1_COLUMNS = (
    BICUBIC,
    "EDSR",
    "PAMS-EDSR 8",
    "PAMS-EDSR 4",
    "RDN",
    "PAMS-RDN 8",
    "PAMS-RDN 4",
)
_TABLE_1 = """
Set5 2 33.66/0.9299 37.985/0.9604 37.946/0.9603 37.665/0.9588 38.027/0.9606 38.060/0.9606 36.528/0.9527
Set5 4 28.42/0.8104 32.095/0.8938 32.124/0.8940 31.591/0.8851 32.244/0.8959 32.340/0.8966 30.441/0.8624
Set14 2 30.24/0.8688 33.568/0.9175 33.564/0.9175 33.196/0.9146 33.604/0.9174 33.732/0.9189 32.392/0.9050
Set14 4 26.00/0.7027 28.576/0.7813 28.585/0.7811 28.199/0.7725 28.669/0.7838 28.721/0.7848 27.536/0.7530
B100 2 29.56/0.8431 32.155/0.8993 32.157/0.8994 31.936/0.8966 32.187/0.8999 32.215/0.9000 31.268/0.8853
B100 4 25.96/0.6675 27.562/0.7355 27.565/0.7352 27.322/0.7282 27.627/0.7379 27.644/0.7382 26.869/0.7097
Urban100 2 26.88/0.8403 31.977/0.9272 32.003/0.9274 31.100/0.9194 32.084/0.9284 32.262/0.9298 29.703/0.8976
Urban100 4 23.14/0.6577 26.035/0.7848 26.016/0.7843 25.321/0.7624 26.293/0.7924 26.367/0.7955 24.523/0.7256
"""  # noqa: E501

METHODS = {"dorefa": "DoReFa", "tflite": "TF Lite", "pact": "PACT", "pams": "PAMS"}
_TABLE_2 = """
Set5 8 30.194/0.8556 31.910/0.8906 31.520/0.8853 32.124/0.8940
Set5 4 29.569/0.8369 31.380/0.8812 31.393/0.8834 31.591/0.8851
Set14 8 27.297/0.7492 28.416/0.7779 28.181/0.7712 28.585/0.7811
Set14 4 26.817/0.7352 28.109/0.7690 28.104/0.7695 28.199/0.7725
B100 8 26.767/0.7079 27.470/0.7329 27.288/0.7261 27.565/0.7352
B100 4 26.474/0.6971 27.252/0.7239 27.251/0.7245 27.322/0.7282
Urban100 8 24.220/0.7128 25.739/0.7760 25.245/0.7570 26.016/0.7843
Urban100 4 23.753/0.6898 25.198/0.7551 25.148/0.7535 25.321/0.7624
"""


def _parsed(text: str) -> dict[tuple[str, int], tuple[Pair, ...]]:
    rows = {}
    for line in text.strip().splitlines():
        name, number, *pairs = line.split()
        values = [tuple(map(float, pair.split("/"))) for pair in pairs]
        rows[name, int(number)] = tuple((psnr, ssim) for psnr, ssim in values)
    return rows


TABLE_1 = {
    row: dict(zip(TABLE_1_COLUMNS, pairs, strict=True)) for row, pairs in _parsed(_TABLE_1).items()
}
"""(set, scale) -> column -> (PSNR, SSIM)."""

TABLE_2 = {row: dict(zip(METHODS, pairs, strict=True)) for row, pairs in _parsed(_TABLE_2).items()}
"""(set, bits), x4, EDSR -> method -> (PSNR, SSIM)."""

TABLE_3 = {"EDSR": {32: 1.518, 8: 0.631, 4: 0.484}, "RDN": {32: 22.27, 8: 5.82, 4: 3.08}}
"""Storage in millions of 32-bit words, x4."""
TABLE_3_SAVED = {"EDSR": {8: 58.4, 4: 68.1}}
"""Storage saved, in per cent."""

TABLE_4 = {
    ("pact", True): (0.531, 0.273, 0.166, 0.354),
    ("pact", False): (0.575, 0.395, 0.274, 0.790),
    ("pams", False): (0.029, 0.009, 0.003, -0.019),
}
"""(method, with batch normalization) -> PSNR gap to the float network on SETS; x4, 8 bits.

As printed. According to Tables 1 and 2, the rows of PACT are float minus PACT, and the row of PAMS
is PAMS minus float.
"""

TABLE_5 = {"random": (31.782, 28.383, 26.273, 23.488), "ema": (32.002, 28.497, 28.497, 25.806)}
"""Initial alpha -> PSNR on SETS; x4. The paper does not state the bit width."""

TABLE_6 = {8: (-0.003, 0.044, 0.015, 0.032), 4: (0.053, 0.022, 0.020, 0.071)}
"""Bits -> PSNR gain of SKT on SETS; x4."""

FIGURE_5_BLOCKS = {"EDSR": (8, 13), "RDN": (0, 13)}
"""The blocks whose alphas are drawn."""
