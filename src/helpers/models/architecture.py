"""One view of a decoder's parts over every architecture that the book knows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import torch
from torch import Tensor, nn

from helpers.errors import InputError
from helpers.models.head import Head, NoHead, NoProjection

Kind = Literal["attention", "mlp"]


@dataclass(frozen=True)
class Layout:
    """Where the parts of one architecture are: attribute paths, and sublayers as the modules
    that the residual stream passes through, in order."""

    layers: str
    final_norm: str
    attention: tuple[str, ...]  # norm, attention, and a post-norm where there is one
    mlp: tuple[str, ...]  # norm, then the modules that follow it


LLAMA = Layout(
    layers="model.layers",
    final_norm="model.norm",
    attention=("input_layernorm", "self_attn"),
    mlp=("post_attention_layernorm", "mlp"),
)
LAYOUTS = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "gemma": LLAMA,
    "phi3": LLAMA,
    "gemma2": Layout(
        layers="model.layers",
        final_norm="model.norm",
        attention=("input_layernorm", "self_attn", "post_attention_layernorm"),
        mlp=("pre_feedforward_layernorm", "mlp", "post_feedforward_layernorm"),
    ),
    "gpt_neox": Layout(
        layers="gpt_neox.layers",
        final_norm="gpt_neox.final_layer_norm",
        attention=("input_layernorm", "attention"),
        mlp=("post_attention_layernorm", "mlp"),
    ),
    "gpt2": Layout(
        layers="transformer.h",
        final_norm="transformer.ln_f",
        attention=("ln_1", "attn"),
        mlp=("ln_2", "mlp"),
    ),
    "opt": Layout(
        layers="model.decoder.layers",
        final_norm="model.decoder.final_layer_norm",
        attention=("self_attn_layer_norm", "self_attn"),
        mlp=("final_layer_norm", "fc1", "activation_fn", "fc2"),
    ),
}


@dataclass(frozen=True)
class Sublayer:
    """f of x → x + f(x): the norm, the attention or MLP behind it, and any post-norm."""

    layer: int
    kind: Kind
    norm: nn.Module
    body: nn.Module
    rest: tuple[Callable[[Tensor], Tensor], ...]

    @property
    def last(self) -> Any:
        """The module whose output is added to the residual stream."""
        return self.rest[-1] if self.rest else self.body

    def weights(self, part: Literal["norm", "body"]) -> tuple[Tensor, ...]:
        """Parameters of the first norm, or of all that follows it."""
        modules = (self.norm,) if part == "norm" else (self.body, *self.rest)
        return tuple(
            weight
            for module in modules
            if isinstance(module, nn.Module)
            for weight in module.parameters()
        )

    def __call__(self, x: Tensor, **keywords: Any) -> Tensor:
        """f(x) for a residual stream x (B, T, d); ``keywords`` go to the attention module."""
        output = self.body(self.norm(x), **keywords)
        output = output[0] if isinstance(output, tuple) else output
        for module in self.rest:
            output = module(output)
        return output


@dataclass(frozen=True)
class Decoder:
    """A causal language model seen as layers of two sublayers, a final norm and a head.

    ``parallel``: both sublayers of a layer start at the same state and the layer adds both
    (GPT-NeoX); otherwise the MLP starts where the attention ended.
    """

    model: nn.Module
    layers: tuple[nn.Module, ...]
    sublayers: tuple[Sublayer, ...]  # attention 0, MLP 0, attention 1, MLP 1, …
    final_norm: nn.Module
    head: Head
    parallel: bool

    @classmethod
    def of(cls, model: nn.Module) -> "Decoder":
        """The view of ``model``; :class:`InputError` if its architecture has none."""
        config: Any = model.config
        layout = LAYOUTS.get(config.model_type)
        if layout is None:
            raise InputError(
                f"architecture {config.model_type!r} is not supported; "
                f"supported are {', '.join(sorted(LAYOUTS))}"
            )
        _refuse_variants(config)
        layers = tuple(_find(model, layout.layers))
        sublayers = tuple(
            _sublayer(layer, index, kind, names)
            for index, layer in enumerate(layers)
            for kind, names in (("attention", layout.attention), ("mlp", layout.mlp))
        )
        final_norm = _find(model, layout.final_norm)
        projection = model.get_output_embeddings()  # type: ignore[operator]
        head = (NoHead if isinstance(projection, NoProjection) else Head)(
            weight=projection.weight,
            bias=getattr(projection, "bias", None),
            cap=getattr(config, "final_logit_softcapping", None),
        )
        parallel = bool(getattr(config, "use_parallel_residual", False))
        return cls(model, layers, sublayers, final_norm, head, parallel)

    @property
    def hidden_size(self) -> int:
        """Width d of the residual stream."""
        return self.head.weight.shape[1]

    @property
    def vocabulary_size(self) -> int:
        """Number V of logits."""
        return self.head.weight.shape[0]

    @property
    def embedded_tokens(self) -> int:
        """Number of tokens that have an embedding: those below it can be read."""
        model: Any = self.model
        return int(model.get_input_embeddings().weight.shape[0])

    @property
    def parameter_count(self) -> int:
        """Number of distinct parameters, tied ones counted once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def device(self) -> torch.device:
        """Where the head is, and so where states are compared."""
        return self.head.weight.device


def _refuse_variants(config: Any) -> None:
    """OPT's post-norm and projected variants have no residual stream of one width."""
    if config.model_type != "opt":
        return
    if not config.do_layer_norm_before:
        raise InputError(
            "OPT with post-norm (such as opt-350m) is not supported: a sublayer's output is "
            "normed after it joins the residual stream; use a pre-norm OPT such as opt-125m"
        )
    if config.word_embed_proj_dim != config.hidden_size or config._remove_final_layer_norm:
        raise InputError("OPT with projected embeddings or no final norm is not supported")


def _find(module: nn.Module, path: str) -> Any:
    return reduce(getattr, path.split("."), module)


def _sublayer(layer: nn.Module, index: int, kind: Any, names: tuple[str, ...]) -> Sublayer:
    norm, body, *rest = (_find(layer, name) for name in names)
    return Sublayer(index, kind, norm, body, tuple(rest))
