"""What other modules still ask of this one, until they ask :mod:`reporting.statistics`."""

from reporting.statistics import RESAMPLES

__all__ = ["RESAMPLES"]
