"""Which network, and where are its parts?"""

from helpers.models.architecture import LAYOUTS, Decoder, Sublayer
from helpers.models.head import Head
from helpers.models.load import LoadedModel, fingerprint, load

__all__ = ["LAYOUTS", "Decoder", "Head", "LoadedModel", "Sublayer", "fingerprint", "load"]
