"""The tokens of an image by the documented rule of its provider, chosen by the model's name.

The rules are those of the providers' guides as of November 2026. Left out: other levels of detail than those
that are asked for (OpenAI: ``high``; Gemini: the default).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from math import ceil, floor, inf, sqrt

from pagefault.media import Media

__all__ = ["image_tokens"]

_Rule = Callable[[float, float], float]
"""Width and height in pixels to tokens."""

_UNKNOWN = 2048  # pixels of each side of an image whose size is not known


def image_tokens(model: str, image: Media) -> int:
    """Return the tokens of an image in a prompt to a model, by the model's name in the settings."""
    name = model.lower()
    rule = next(rule for pattern, rule in _RULES if pattern.search(name))
    return ceil(rule(image.width or _UNKNOWN, image.height or _UNKNOWN))


def _flat(tokens: int, width: float, height: float) -> float:  # noqa: ARG001
    return tokens


def _openai_tiles(base: int, each: int, width: float, height: float) -> float:
    """Within 2,048 pixels, the shorter side at most 768, in tiles of 512."""
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (scale * min(width, height)))
    return base + each * ceil(scale * width / 512) * ceil(scale * height / 512)


def _openai_patches(most: int, factor: float, width: float, height: float) -> float:
    """Patches of 32 pixels, after scaling down to so many that whole ones fill the image."""
    across, down = width / 32, height / 32
    if ceil(across) * ceil(down) > most:
        shrink = sqrt(most / (across * down))
        across, down = shrink * across, shrink * down
        shrink = min(max(1, floor(each)) / each for each in (across, down))
        # what is whole but for the last digits of a floating-point number is whole
        across, down = round(shrink * across, 6), round(shrink * down, 6)
    return factor * min(most, ceil(across) * ceil(down))


def _pixels(side: int, edge: float, most: float, width: float, height: float) -> float:
    """Patches of ``side`` pixels, after scaling to ``edge`` pixels; ``most`` at most."""
    scale = min(1.0, edge / max(width, height))
    return min(most, ceil(scale * width / side) * ceil(scale * height / side))


def _gemini_tiles(width: float, height: float) -> float:
    """A small image is one tile; others, within 3,072 pixels, are cut in squares of two thirds of the shorter
    side."""
    if max(width, height) <= 384:
        return 258
    scale = min(1.0, 3072 / max(width, height))
    width, height = scale * width, scale * height
    unit = min(768, max(256, floor(min(width, height) / 1.5)))
    return 258 * ceil(width / unit) * ceil(height / unit)


def _llama_tiles(width: float, height: float) -> float:
    """Up to four tiles of 560 pixels."""
    return 1601 * min(2, ceil(width / 560)) * min(2, ceil(height / 560))


def _rule(pattern: str, rule: _Rule) -> tuple[re.Pattern[str], _Rule]:
    return re.compile(pattern), rule


# The first that matches counts; OpenAI's newer models come last, as whatever else is called gpt. What
# gpt-4o-mini is billed for an image, 33 times as much, does not count against its window.
_RULES: tuple[tuple[re.Pattern[str], _Rule], ...] = (
    _rule(r"gpt-(4\.1|5|5\.4)-mini", partial(_openai_patches, 1536, 1.62)),
    _rule(r"gpt-(4\.1|5|5\.4)-nano", partial(_openai_patches, 1536, 2.46)),
    _rule(r"o4-mini", partial(_openai_patches, 1536, 1.72)),
    _rule(r"gpt-4|chatgpt-4o", partial(_openai_tiles, 85, 170)),
    _rule(r"(^|[:/#])o[13]\b", partial(_openai_tiles, 75, 150)),
    _rule(r"computer-use-preview", partial(_openai_tiles, 65, 129)),
    _rule(r"gpt-5(\.[23]|.*codex)", partial(_openai_patches, 1536, 1.2)),
    _rule(r"gpt-5(?!\.[4-9]|\.\d\d)", partial(_openai_tiles, 70, 140)),
    _rule(r"gpt-(?!oss)", partial(_openai_patches, 2500, 1.2)),
    _rule(r"claude-[a-z]+-(4[-.][7-9]|[5-9]|\d\d)\b", partial(_pixels, 28, 2576, 4784)),
    _rule(r"claude", partial(_pixels, 28, 1568, 1568)),
    _rule(r"gemini-[12]\b", _gemini_tiles),
    _rule(r"gemini", partial(_flat, 1120)),
    _rule(r"gemma", partial(_flat, 280)),
    _rule(r"llama-?3\.2", _llama_tiles),
    _rule(r"qwen-?2", partial(_pixels, 28, inf, 16_384)),
    _rule(r"qwen", partial(_pixels, 32, inf, 16_384)),
    _rule(r"pixtral", partial(_pixels, 16, 1024, inf)),
    _rule(r"", partial(_pixels, 28, inf, 4096)),  # any other: by the pixels, at most 4,096
)
