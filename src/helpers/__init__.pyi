from helpers.api import Score as Score
from helpers.api import calibration as calibration
from helpers.api import compare as compare
from helpers.api import drop as drop
from helpers.api import dropped as dropped
from helpers.api import generate as generate
from helpers.api import hidden_states as hidden_states
from helpers.api import least_important as least_important
from helpers.api import load as load
from helpers.api import prune as prune
from helpers.api import pruned as pruned
from helpers.api import save as save
from helpers.api import score as score
from helpers.errors import InputError as InputError

__version__: str
