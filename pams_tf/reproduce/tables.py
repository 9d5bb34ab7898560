"""Tables 1, 2, 4, 5 and 6: the network and the set of each cell, and the paper's value."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from pams_tf.reproduce import paper
from pams_tf.reproduce.networks import Catalogue, Network

PSNR_SSIM = ("PSNR", "SSIM")
PSNR = ("PSNR",)
# Additional columns of Table 2.
VARIANTS: dict[str, dict[str, Any]] = {
    "PAMS, Eq. 3": {"alpha_gradient": "eq3"},
    "PAMS, unsigned": {"unsigned": True},
}


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """One cell of a table.

    Attributes:
      row, column: its position.
      paper: the paper's values; None if it has none.
      of: the network that is measured; None if it is not part of the budget.
      benchmark: the set that it is measured on.
      minus: if given, the cell is the PSNR of `of` minus that of this network.
      value: our values, if they are not those of a network on a set.
      repeats: the same network from other seeds; the cell is the mean PSNR of `of` and of these,
        and its standard deviation.
    """

    row: tuple[str, ...]
    column: str
    paper: tuple[float, ...] | None
    of: Network | None = None
    benchmark: str | None = None
    minus: Network | None = None
    value: tuple[float, ...] | None = None
    repeats: tuple[Network | None, ...] = ()

    @property
    def networks(self) -> list[Network | None]:
        """The networks that must be finished before it can be filled."""
        return [self.of, self.minus, *self.repeats]


@dataclasses.dataclass(frozen=True)
class Section:
    """A table, or a part of one.

    Attributes:
      title: title above it.
      rows: names of the row labels, such as ("set", "bits").
      values: names of the values in each cell, such as ("PSNR", "SSIM").
      decimals: number of decimals of each value.
      cells: the cells, row by row.
      ranked: whether the report ranks the columns.
    """

    title: str
    rows: tuple[str, ...]
    values: tuple[str, ...]
    decimals: tuple[int, ...]
    cells: tuple[Cell, ...]
    ranked: bool = False

    @property
    def columns(self) -> list[str]:
        """The column names in order."""
        return list(dict.fromkeys(cell.column for cell in self.cells))


@dataclasses.dataclass(frozen=True)
class Table:
    """One table of the paper with all its sections."""

    number: int
    title: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()

    @property
    def networks(self) -> list[Network | None]:
        """The networks that must be finished before it can be filled."""
        cells = [cell for section in self.sections for cell in section.cells]
        return [network for cell in cells for network in cell.networks]


NO_SETTINGS = (
    "Our student is the checkpoint with the best PSNR on three built-in photographs; the paper "
    "does not say which checkpoint it uses."
)
SAME_LOSS = "All methods have the same teacher, the same SKT loss and the same steps."
BITS_UNSAID = "The paper does not state the bit width of this table; both rows show its numbers."


def table_1(catalogue: Catalogue) -> Table:
    """The float networks and PAMS on all sets."""

    def network(column: str, scale: int) -> Network | None:
        if column == paper.BICUBIC:
            return catalogue.bicubic(scale)
        family, _, bits = column.removeprefix("PAMS-").partition(" ")
        if bits:
            return catalogue.student(family, "pams", int(bits), scale)
        return catalogue.float_network(family, scale)

    cells = tuple(
        Cell(
            (name, f"x{scale}"),
            column,
            paper.TABLE_1.get((name, scale), {}).get(column),
            network(column, scale),
            name,
        )
        for name in catalogue.budget.sets
        for scale in (2, 4)
        for column in paper.TABLE_1_COLUMNS
    )
    section = Section("PSNR (dB) / SSIM on Y", ("set", "scale"), PSNR_SSIM, (3, 4), cells)
    return Table(1, "PAMS against the float networks", (section,), (NO_SETTINGS,))


def table_2(catalogue: Catalogue) -> Table:
    """Four methods with the same teacher, and the gap of each to it."""
    teacher = catalogue.float_network("EDSR")
    rows = [(name, bits) for name in catalogue.budget.sets for bits in paper.BITS]
    cells, gaps = [], []
    for name, bits in rows:
        floats = paper.TABLE_1.get((name, 4), {})
        row = (name, str(bits))
        for column, network in ((paper.BICUBIC, catalogue.bicubic(4)), ("float", teacher)):
            known = floats.get(column if column == paper.BICUBIC else "EDSR")
            cells.append(Cell(row, column, known, network, name))
        for method, column in paper.METHODS.items():
            student = catalogue.student("EDSR", method, bits)
            known = paper.TABLE_2.get((name, bits), {}).get(method)
            gap = (known[0] - floats["EDSR"][0],) if known else None
            cells.append(Cell(row, column, known, student, name))
            gaps.append(Cell(row, column, gap, student, name, minus=teacher))
        for column, change in VARIANTS.items():
            cells.append(
                Cell(row, column, None, catalogue.student("EDSR", "pams", bits, **change), name)
            )
    return Table(
        2,
        "Methods of quantization, EDSR x4",
        (
            Section("PSNR (dB) / SSIM on Y", ("set", "bits"), PSNR_SSIM, (3, 4), tuple(cells)),
            Section(
                "PSNR gained over the float network (dB)",
                ("set", "bits"),
                PSNR,
                (3,),
                tuple(gaps),
                ranked=True,
            ),
            *_over_seeds(catalogue),
        ),
        (
            SAME_LOSS,
            "The paper's bicubic and float columns are those of its Table 1.",
            "PAMS uses the alpha gradient of the released code, which produced the paper's "
            "numbers; the column PAMS, Eq. 3 uses that of Eq. 3, without the rounding error inside "
            "the range.",
            "PAMS, unsigned is our addition: behind a ReLU all codes lie in [0, alpha], as in our "
            "DoReFa, PACT and TF Lite; the paper's grid leaves half of them unused.",
            "PSNR depends on the float network, so the second part allows comparing methods across "
            "teachers of different quality.",
            NO_SETTINGS,
        ),
    )


def _over_seeds(catalogue: Catalogue) -> list[Section]:
    """The methods at 4 bits from several seeds, as the budget says: what a difference means."""
    seeds = catalogue.budget.seeds
    if len(seeds) < 2:
        return []
    columns = {
        **{column: (method, {}) for method, column in paper.METHODS.items()},
        **{column: ("pams", change) for column, change in VARIANTS.items()},
    }
    cells = []
    for name in catalogue.budget.sets:
        for column, (method, change) in columns.items():
            first, *others = (
                catalogue.student("EDSR", method, 4, **change, seed=seed) for seed in seeds
            )
            cells.append(Cell((name,), column, None, first, name, repeats=tuple(others)))
    title = f"4 bits, mean and standard deviation over {len(seeds)} seeds (dB)"
    return [Section(title, ("set",), ("PSNR", "sd"), (3, 3), tuple(cells), ranked=True)]


def table_4(catalogue: Catalogue) -> Table:
    """The loss of PSNR at 8 bits with and without batch normalization."""
    cells = []
    for (method, batch_norm), gaps in paper.TABLE_4.items():
        row = (f"{paper.METHODS[method]} {'with' if batch_norm else 'without'} BN",)
        teacher = catalogue.ablated_float(batch_norm)
        student = catalogue.ablated_student(batch_norm, method, 8)
        sign = -1 if method == "pams" else 1  # see `paper.TABLE_4`
        for name, known in _by_set(catalogue, tuple(sign * gap for gap in gaps)):
            cells.append(Cell(row, name, known, teacher, name, minus=student))
    for batch_norm in (True, False):
        row = (f"float {'with' if batch_norm else 'without'} BN, PSNR",)
        for name in catalogue.budget.sets:
            cells.append(Cell(row, name, None, catalogue.ablated_float(batch_norm), name))
    return Table(
        4,
        "PSNR lost to the float network at 8 bits, with and without batch normalization, x4",
        (Section("float minus quantized (dB)", ("method",), PSNR, (3,), tuple(cells)),),
        (
            "Every row is float minus quantized. The paper prints the row of PAMS with the "
            "opposite sign: in its Table 1 PAMS is 0.029 dB above the float network on Set5.",
            f"Our network is {_network(catalogue.budget.batch_norm)}; the paper's is EDSR.",
            SAME_LOSS,
            NO_SETTINGS,
        ),
    )


def table_5(catalogue: Catalogue) -> Table:
    """Random initial alphas in [0, 128] against Eq. 4."""
    starts: dict[str, dict[str, Any]] = {"random": {"initial_range": "random"}, "ema": {}}
    labels = {"random": "random in [0, 128]", "ema": "EMA (Eq. 4)"}
    cells = [
        Cell((str(bits), labels[start]), name, known, student, name)
        for bits in paper.BITS
        for start, changes in starts.items()
        for student in [catalogue.student("EDSR", "pams", bits, **changes)]
        for name, known in _by_set(catalogue, paper.TABLE_5[start])
    ]
    return Table(
        5,
        "Initial alpha, PAMS-EDSR x4",
        (Section("PSNR on Y (dB)", ("bits", "initial alpha"), PSNR, (3,), tuple(cells)),),
        (
            BITS_UNSAID,
            "The paper gives 28.497 dB for EMA on both Set14 and BSD100; one of them seems to be a "
            "misprint.",
            NO_SETTINGS,
        ),
    )


def table_6(catalogue: Catalogue) -> Table:
    """The gain of structured knowledge transfer over L1 alone."""
    cells = [
        Cell(
            (str(bits),),
            name,
            known,
            catalogue.student("EDSR", "pams", bits),
            name,
            minus=catalogue.student("EDSR", "pams", bits, skt_weight=0.0),
        )
        for bits in paper.BITS
        for name, known in _by_set(catalogue, paper.TABLE_6[bits])
    ]
    return Table(
        6,
        "PSNR gained by structured knowledge transfer, PAMS-EDSR x4",
        (Section("with SKT minus without (dB)", ("bits",), PSNR, (3,), tuple(cells)),),
        (NO_SETTINGS,),
    )


MEASURED: dict[int, Callable[[Catalogue], Table]] = {
    1: table_1,
    2: table_2,
    4: table_4,
    5: table_5,
    6: table_6,
}
"""The tables whose cells are measured on sets."""


def _by_set(
    catalogue: Catalogue, known: tuple[float, ...]
) -> Iterable[tuple[str, tuple[float] | None]]:
    by_name = dict(zip(paper.SETS, known, strict=True))
    for name in catalogue.budget.sets:
        yield name, (by_name[name],) if name in by_name else None


def _network(preset_and_overrides: tuple[str, dict[str, object]]) -> str:
    preset, overrides = preset_and_overrides
    return preset + "".join(f", {key} {value}" for key, value in overrides.items())
