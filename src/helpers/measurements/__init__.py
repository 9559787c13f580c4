"""The measurements that chapters share: each a stored, pure function of its parameters."""

from helpers.measurements.layer_profile import layer_profile

__all__ = ["layer_profile"]
