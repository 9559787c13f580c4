"""What did the network hold? States around every sublayer, without each sublayer, and attention."""

from helpers.capture.states import Pair, Positions, States, Trace, capture, on_entry

__all__ = ["Pair", "Positions", "States", "Trace", "capture", "on_entry"]
