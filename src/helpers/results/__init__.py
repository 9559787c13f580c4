"""What came out? Tidy tables with provenance, written atomically, read back by the book."""

from helpers.results.schema import SCHEMAS, Column
from helpers.results.store import Measured, Measurement, measurement

__all__ = ["SCHEMAS", "Column", "Measured", "Measurement", "measurement"]
