"""The models that are sent images: by the agent's setting, by what a check or a refusal found, by their name.

A model of which nothing is known is sent them: a server that takes none says so. Left out: what a refusal
looks like (``provider_errors``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from pagefault.models.directory.findings import Findings
from pagefault.models.endpoint import ModelFinding

__all__ = ["Sight", "is_blind"]

# Models without eyes by their names, without organisation. Newer ones of most families see.
_BLIND = re.compile(
    r"offline$|gpt-(3|oss)|gpt-4(-\d{4}|-32k|$)|o1-(mini|preview)|o3-mini|claude-(2|instant)"
    r"|deepseek-(chat|reasoner|coder|llm|r1|v[23])|llama-?[23](\.[13])?([-:]|$)|codellama|tinyllama"
    r"|llama-?3\.2[-:][13]b|qwen-?(1|1\.5|2|2\.5|3)([-:](?!vl|omni)(?!.*-vl)|$)|qwen-?[23].*coder|qwq"
    r"|mistral-(7b|nemo|tiny)|mi[sx]tral([:-]8x\d+b|$)|codestral|mathstral|gemma-?[12]?([-:]|$)(?!3|4)"
    r"|gemma-?3[-:](1b|270m)|phi-?([1-3]|4-mini|4$)(?!.*(vision|multimodal))|command-(r|a)([-:]|\+|$)|smollm"
    r"|granite-?3(?!.*vision)|kimi-k2(?!\.[5-9])|glm-4(\.\d)?([-:](?!v)|$)|yi-\d|hermes|zephyr|vicuna"
)


def is_blind(model: str) -> bool:
    """Return True for a model that is known to take no images."""
    return bool(_BLIND.match(model.rpartition("/")[2].lower().removeprefix("meta-")))


@dataclass(slots=True)
class Sight:
    """Remembers the models whose servers take no images: in ``findings``, if there are any."""

    findings: Findings | None = None
    _blind: set[str] = field(default_factory=set[str])

    def sees(self, name: str, model: str, wanted: bool | None) -> bool:
        """Return True if a model, by its name in the settings and at its provider, is to be sent images.
        ``wanted`` is the agent's setting; it outweighs all but a refusal since this process began."""
        if name in self._blind:
            return False
        found = self.findings.of(name) if self.findings else ModelFinding()
        known = found.images if found.images is not None else not is_blind(model or name)
        return known if wanted is None else wanted

    def turned_blind(self, name: str) -> None:
        """Remember that the server of a model takes no images."""
        self._blind.add(name)
        if self.findings:
            self.findings.remember(name, replace(self.findings.of(name), images=False))

    def checked(self, name: str) -> None:
        """Forget a refusal, because a check has asked anew."""
        self._blind.discard(name)
