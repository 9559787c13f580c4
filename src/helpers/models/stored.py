"""What the files of a model hold, read from their headers: is all of it plain, and read?"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from helpers.errors import InputError, refused

FORMATS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
# Constants that older versions of transformers stored: rotary frequencies, position numbers, the
# causal mask and the number it filled in. All follow from the configuration, so none is read.
CONSTANTS = re.compile(r"(rotary_emb\.inv_freq|position_ids|\.(attn|attention)\.(masked_)?bias)$")
# Mistral's own layout of the same weights, which lies beside them on the hub
OTHER_LAYOUT = "consolidated*.safetensors"
PLAIN = (
    "give the weights of the architecture and no others: masks made permanent (prune.remove of "
    "torch), quantization undone, adapters merged, config.json of the same model"
)


def refuse_adapter(source: str, name: str, revision: str) -> None:
    """:class:`InputError` if an adapter lies beside the weights: with peft in the environment it
    would be loaded, maybe onto another base, and without it silently left out."""
    from transformers.utils import find_adapter_config_file

    with refused(f"model {name!r} cannot be loaded"):
        found = find_adapter_config_file(source, revision=revision)
    if found:
        raise InputError(
            f"model {name!r} has an adapter (adapter_config.json) beside its weights: merge it "
            "into them (merge_and_unload of peft), or move it elsewhere to leave it out"
        )


def leave_out_sparsity_section(config: Any, name: str) -> None:
    """Take the quantization section out of a configuration if it says only that weights are
    sparse, as llm-compressor writes; any other raises :class:`InputError`."""
    section = getattr(config, "quantization_config", None)
    if not section:
        return
    said = section if isinstance(section, dict) else section.to_dict()
    method = said.get("quant_method", "no quant_method")
    if method != "compressed-tensors" or said.get("config_groups"):
        raise InputError(
            f"model {name!r} is quantized (quantization_config of its config.json: {method}): "
            "give its dequantized weights, and a config.json without that section"
        )
    del config.quantization_config


def refuse_other_family(config: Any, name: str) -> None:
    """:class:`InputError` if a configuration names the class of another family than its
    ``model_type``, such as ``LlamaForCausalLM`` beside ``gemma``: the keys of both may be the same,
    and what is computed with them is not. A class that transformers does not know says nothing,
    and one that is not named neither."""
    named = config.architectures or []
    if not isinstance(named, list) or not all(isinstance(kind, str) for kind in named):
        raise InputError(f"architectures in config.json of model {name!r} is no list of names")
    known = _classes()
    for kind in named:
        families = known.get(kind, {config.model_type})
        if config.model_type not in families:
            raise InputError(
                f"model {name!r} is of two families: its config.json has model_type "
                f"{config.model_type}, and {kind} among its architectures, which is of "
                f"{', '.join(sorted(families))}; give the config.json that belongs to the weights"
            )


@cache
def _classes() -> dict[str, set[str]]:
    """For each class of a model in transformers the families that it reads."""
    from transformers.models.auto import modeling_auto

    found: dict[str, set[str]] = {}
    for name, families in vars(modeling_auto).items():
        if name.endswith("MAPPING_NAMES"):
            for family, kinds in families.items():
                for kind in (kinds,) if isinstance(kinds, str) else kinds:
                    found.setdefault(kind, set()).add(family)
    return found


def refuse_other_shapes(mismatched: Iterable[tuple[str, Any, Any]], name: str) -> None:
    """:class:`InputError` if the files hold weights of another shape than the model has."""
    other = min(mismatched, default=None)
    if other:
        key, held, wanted = other
        raise InputError(
            f"model {name!r} has weights of another shape than its config.json says, the first "
            f"{key}, {list(held)} and not {list(wanted)}: give a folder whose weights and "
            "configuration belong together"
        )


def refuse_unread(unread: Iterable[str], name: str) -> None:
    """:class:`InputError` if the files hold weights that the model has no place for."""
    strange = sorted(key for key in unread if not CONSTANTS.search(key))
    if strange:
        raise InputError(
            f"model {name!r} holds {len(strange)} weights that its architecture and config.json "
            f"do not read, the first {strange[0]}: {PLAIN}"
        )


def refuse_missing(missing: Collection[str], name: str, otherwise: str = "") -> None:
    """:class:`InputError` if the model has weights that the files do not hold."""
    if missing:
        raise InputError(
            f"model {name!r} lacks {len(missing)} weights, the first {min(missing)}: give a whole "
            f"checkpoint{otherwise}"
        )


def stored_formats(model: Any, source: str, name: str, revision: str) -> dict[str, torch.dtype]:
    """The format in which each parameter of ``model`` is stored.

    Raises :class:`InputError` for weights that are no plain floating-point numbers, and for a
    folder with files of weights that were not read.
    """
    files = _files_read(source, revision)
    if Path(source).is_dir():
        _refuse_other_files(Path(source), files, name)
    found: dict[str, torch.dtype] = {}
    for path in files:
        with safe_open(path, "pt") as file:
            for key in file.keys():  # noqa: SIM118 (not a mapping)
                kind = file.get_slice(key).get_dtype()
                if kind in FORMATS:
                    found[key] = FORMATS[kind]
                elif not CONSTANTS.search(key):
                    raise InputError(f"model {name!r} stores {key} packed, as {kind}: {PLAIN}")
    # a model without a head is stored under shorter names; a tied weight under one of two
    usual, prefix = commonest(found.values()), f"{model.base_model_prefix}."
    return {
        key: found.get(key) or found.get(key.removeprefix(prefix)) or usual
        for key, _ in model.named_parameters()
    }


def commonest(formats: Iterable[torch.dtype]) -> torch.dtype:
    """The format of most weights; float32 if there are none."""
    counted = Counter(formats).most_common(1)
    return counted[0][0] if counted else torch.float32


def _files_read(source: str, revision: str) -> list[Path]:
    """The files that transformers reads: one, or all that an index names."""
    from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

    def place(file: str) -> str | None:
        found: str | None = cached_file(
            source, file, revision=revision, _raise_exceptions_for_missing_entries=False
        )
        return found

    names = [SAFE_WEIGHTS_NAME]
    if not place(SAFE_WEIGHTS_NAME) and (index := place(SAFE_WEIGHTS_INDEX_NAME)):
        names = sorted(set(json.loads(Path(index).read_text())["weight_map"].values()))
    return [Path(found) for file in names if (found := place(file))]


def _refuse_other_files(folder: Path, read: list[Path], name: str) -> None:
    known = {path.name for path in (*read, *folder.glob(OTHER_LAYOUT))}
    other = sorted({path.name for path in folder.glob("*.safetensors")} - known)
    if other:
        raise InputError(
            f"model {name!r} has weights that are not read beside those that are: move "
            f"{other[0]} out of the folder"
        )
