"""What the wanted tables and figures need: runs to train and networks to measure."""

from collections.abc import Sequence
from typing import Any

from pams_tf.errors import InputError
from pams_tf.reproduce import tables
from pams_tf.reproduce.figures import FIGURES, picture_set
from pams_tf.reproduce.measure import Measurements
from pams_tf.reproduce.networks import Catalogue, Job, Network, with_teachers


def needs_sets(wanted_tables: Sequence[int], wanted_figures: Sequence[int]) -> bool:
    """Whether anything is measured on a benchmark."""
    return any(number in tables.MEASURED for number in wanted_tables) or any(
        FIGURES[number].measured for number in wanted_figures
    )


class Selection:
    """The wanted tables and figures, and the networks in them.

    Args:
      catalogue: provides the networks.
      measurements: the results so far, and the benchmarks.
      wanted_tables, wanted_figures: numbers of the tables and figures.

    Attributes:
      tables: the measured tables.
      storage: whether Table 3, which measures nothing, is wanted.
      figures: number -> figure.
      measured: the (network, set) pairs to measure, untrained networks first.
      jobs: the runs, teachers first.

    Raises:
      InputError: there are runs to train, but no images for the budget.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        measurements: Measurements,
        wanted_tables: Sequence[int],
        wanted_figures: Sequence[int] = (),
    ) -> None:
        self.catalogue = catalogue
        self.measurements = measurements
        self.tables = [
            tables.MEASURED[number](catalogue)
            for number in wanted_tables
            if number in tables.MEASURED
        ]
        self.storage = 3 in wanted_tables
        self.figures = {number: FIGURES[number] for number in wanted_figures}
        self.measured = self._measured()
        drawn = [n for figure in self.figures.values() for _, n in figure.networks(catalogue)]
        self.jobs = with_teachers([*(network for network, _ in self.measured), *drawn])
        if self.unfinished and not (catalogue.data or catalogue.budget.own_images):
            raise InputError(
                f"the {catalogue.budget.name} budget trains {len(self.unfinished)} runs and needs "
                "--data, a folder of training images; only smoke has images built in"
            )

    @property
    def unfinished(self) -> list[Job]:
        """The unfinished runs, teachers first."""
        return [job for job in self.jobs if not job.done]

    @property
    def unmeasured(self) -> list[tuple[Network, str]]:
        """The (network, set) pairs without a result."""
        return [pair for pair in self.measured if self.measurements.kept(*pair) is None]

    def result(self, network: Network, name: str) -> dict[str, Any] | None:
        """The result of a network on a set; None if it is not available."""
        if name not in self.measurements.benchmarks.names:
            return None
        return self.measurements.kept(network, name)

    def _measured(self) -> list[tuple[Network, str]]:
        names = self.measurements.benchmarks.names
        pairs = [
            (network, cell.benchmark)
            for table in self.tables
            for section in table.sections
            for cell in section.cells
            for network in cell.networks
        ]
        for figure in self.figures.values():
            if figure.measured:
                name = picture_set(self.measurements)
                pairs += [(network, name) for _, network in figure.networks(self.catalogue)]
        unique = {
            (network.name, name): (network, name)
            for network, name in pairs
            if network is not None and name in names
        }
        return sorted(unique.values(), key=lambda pair: isinstance(pair[0], Job))
