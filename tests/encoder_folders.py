"""Tiny random text encoders, in folders as sentence-transformers saves them."""

import string
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizer, RobertaConfig, RobertaModel

WIDTH, LAYERS, LONGEST = 24, 3, 32
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FAMILIES = {"bert": (BertConfig, BertModel), "roberta": (RobertaConfig, RobertaModel)}


def tiny_tokenizer() -> BertTokenizer:
    """Letters, alone or within a word."""
    letters = string.ascii_lowercase + string.digits + string.punctuation
    words = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    return BertTokenizer(vocab={word: number for number, word in enumerate(words)})


def tiny_backbone(family: str = "bert", seed: int = 0) -> torch.nn.Module:
    """A random encoder with weights large enough that every sublayer matters."""
    config, model = FAMILIES[family]
    torch.manual_seed(seed)
    made = model(
        config(
            vocab_size=len(tiny_tokenizer()),
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            intermediate_size=40,
            max_position_embeddings=64,
            initializer_range=0.3,
            pad_token_id=0,
        )
    )
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "LayerNorm" in name or name.endswith("bias"):
                weight += 0.2 * torch.randn_like(weight)
    return made.eval().requires_grad_(False)


def save_encoder(folder: Path, family: str = "bert", pooling: str = "mean") -> Path:
    """A folder with a tiny encoder, its pooling and its norm."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    inner = folder / "inner"
    tiny_backbone(family).save_pretrained(inner)
    tiny_tokenizer().save_pretrained(inner)
    parts = [Transformer(str(inner), max_seq_length=LONGEST), Pooling(WIDTH, pooling), Normalize()]
    SentenceTransformer(modules=parts, device="cpu").save(str(folder / "encoder"))
    return folder / "encoder"
