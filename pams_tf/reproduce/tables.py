"""Tables 1, 2, 4, 5 and 6: which network on which set each cell is, and the paper's number."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from pams_tf.reproduce import paper
from pams_tf.reproduce.networks import Catalogue, Network

PSNR_SSIM = ("PSNR", "SSIM")
PSNR = ("PSNR",)
# Beside the paper's columns in Table 2.
VARIANTS: dict[str, dict[str, Any]] = {
    "PAMS, Eq. 3": {"alpha_gradient": "eq3"},
    "PAMS, unsigned": {"unsigned": True},
}


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """One place in a table.

    Attributes:
      row, column: where it stands.
      paper: the paper's values; None where it has none.
      of: what is measured; None if it is not part of the budget.
      benchmark: on which set.
      minus: the cell is the PSNR of `of` less that of this network.
      value: ours, where it is not the figure of a network on a set.
    """

    row: tuple[str, ...]
    column: str
    paper: tuple[float, ...] | None
    of: Network | None = None
    benchmark: str | None = None
    minus: Network | None = None
    value: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Section:
    """A table, or a part of one.

    Attributes:
      title: above it.
      rows: what the row labels are, e.g. ("set", "bits").
      values: what stands in each cell, e.g. ("PSNR", "SSIM").
      decimals: of each value.
      cells: row by row.
      ranked: the columns compete: the report names their order.
    """

    title: str
    rows: tuple[str, ...]
    values: tuple[str, ...]
    decimals: tuple[int, ...]
    cells: tuple[Cell, ...]
    ranked: bool = False

    @property
    def columns(self) -> list[str]:
        """In order."""
        return list(dict.fromkeys(cell.column for cell in self.cells))


@dataclasses.dataclass(frozen=True)
class Table:
    """All of one table of the paper."""

    number: int
    title: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()

    @property
    def networks(self) -> list[Network | None]:
        """What must be there before it can be filled."""
        cells = [cell for section in self.sections for cell in section.cells]
        return [network for cell in cells for network in (cell.of, cell.minus)]


NO_SETTINGS = (
    "Our student is the checkpoint with the best PSNR on three built-in photographs; the paper "
    "does not say which one it takes."
)
SAME_LOSS = "All methods have the same teacher, the same SKT loss and the same steps."
BITS_UNSAID = "The paper does not say of how many bits this table is; both rows show its numbers."


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
    """Four methods on one teacher, and how far each is from it."""
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
        ),
        (
            SAME_LOSS,
            "The paper's bicubic and float columns are those of its Table 1.",
            "PAMS has the alpha gradient of the released code, which made the paper's numbers; its "
            "Eq. 3, without the rounding error inside the range, stands beside it.",
            "PAMS, unsigned is an addition of ours: behind a ReLU all codes lie in [0, alpha], as "
            "they do in our DoReFa, PACT and TF Lite; the paper's grid leaves half of them unused.",
            "The float network sets the level: the second part compares methods between teachers "
            "of different strength.",
            NO_SETTINGS,
        ),
    )


def table_4(catalogue: Catalogue) -> Table:
    """What 8 bits cost with and without batch normalization."""
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
        (Section("float less quantized (dB)", ("method",), PSNR, (3,), tuple(cells)),),
        (
            "Every row is float less quantized. The paper prints that of PAMS with the opposite "
            "sign: in its Table 1 PAMS is 0.029 dB above the float network on Set5.",
            f"Our network here is {_network(catalogue.budget.batch_norm)}; the paper's is EDSR.",
            SAME_LOSS,
            NO_SETTINGS,
        ),
    )


def table_5(catalogue: Catalogue) -> Table:
    """Alphas that begin anywhere in [0, 128] against Eq. 4."""
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
            "The paper gives 28.497 dB for EMA on Set14 and on BSD100; one of them seems to be a "
            "slip.",
            NO_SETTINGS,
        ),
    )


def table_6(catalogue: Catalogue) -> Table:
    """What structured knowledge transfer adds to L1."""
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
        (Section("with SKT less without (dB)", ("bits",), PSNR, (3,), tuple(cells)),),
        (NO_SETTINGS,),
    )


MEASURED: dict[int, Callable[[Catalogue], Table]] = {
    1: table_1,
    2: table_2,
    4: table_4,
    5: table_5,
    6: table_6,
}
"""Tables whose cells are figures of networks on sets."""


def _by_set(
    catalogue: Catalogue, known: tuple[float, ...]
) -> Iterable[tuple[str, tuple[float] | None]]:
    by_name = dict(zip(paper.SETS, known, strict=True))
    for name in catalogue.budget.sets:
        yield name, (by_name[name],) if name in by_name else None


def _network(preset_and_overrides: tuple[str, dict[str, object]]) -> str:
    preset, overrides = preset_and_overrides
    return preset + "".join(f", {key} {value}" for key, value in overrides.items())
