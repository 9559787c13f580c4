"""Make the two tiny models of tests/grid.yaml anew: ``python tests/make_models.py``.

Random weights of real architectures, of two sizes, small enough to lie in the repository, so that
``make book PROFILE=tests/grid.yaml`` works in a clean clone.
"""

from pathlib import Path

import torch
from conftest import byte_tokenizer, tiny_model

FOLDER = Path(__file__).parent / "models"
SHAPES = {
    "llama": {"hidden_size": 16, "num_hidden_layers": 3, "intermediate_size": 24},
    "qwen2": {"hidden_size": 24, "num_hidden_layers": 4, "intermediate_size": 32},
}


def make(folder: Path) -> None:
    """Both models with their tokenizers, in folders named by their architecture."""
    for architecture, shape in SHAPES.items():
        model = tiny_model(architecture, max_position_embeddings=512, **shape)
        model.to(torch.bfloat16).save_pretrained(folder / architecture)
        byte_tokenizer().save_pretrained(folder / architecture)


if __name__ == "__main__":
    make(FOLDER)
