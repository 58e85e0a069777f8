"""A server's own tokenizer, asked once: what each class of text costs with it.

llama.cpp, vLLM and SGLang count a text at ``/tokenize``. A request for each row would stand in the way of
every turn, so a few texts of this module are counted when a model is first used, each for the classes that it
shows, and the counter is fitted to that. Left out: servers on the internet, which are not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import anyio

from pagefault.models.directory.server_facts import facts_client, json_from
from pagefault.models.directory.targets import Target
from pagefault.models.endpoint import Endpoint
from pagefault.models.tokens import Counter, Family, HeuristicCounter, counter_for, family_of

if TYPE_CHECKING:
    from httpx2 import AsyncClient

__all__ = ["SAMPLES", "Tokenizers", "fitted"]

_TIMEOUT = 3.0  # seconds for all texts together
_FRESH = 60.0  # seconds for which a server that did not answer is left alone
_OTHERS = frozenset(("lmstudio", "ollama"))
"""The providers of this machine that are known to count no texts."""

_SMALLEST, _LARGEST = 0.2, 4.0  # factors that are believed
_SAFETY = 1.05  # over what was measured: the texts are short
_DIGITS = "2026 10 31 482 75 1999 60 8 3141592653 27 182 8182845"

SAMPLES: Sequence[tuple[tuple[str, ...], str]] = (
    (("number", "digits"), _DIGITS),
    (
        ("word", "capitals"),
        "Good morning, and thank you for the letter. Could you remind Martha a week before the wedding that "
        "she should bring the old maps and some tea? My neighbours had a party until three, so I hardly "
        "slept. The river is quiet today. An operating system moves pages between a small fast memory and a "
        "large slow disk, and the program never notices. NASA AND THE BBC SAID NOTHING.",
    ),
    (
        ("punctuation", "joined"),
        '{"name": "memory_search", "arguments": "{\\"query\\": \\"wedding date\\", \\"page\\": 2}"}, '
        "if (rows.length > limit) { return [first_row, ...rest].map((row) => row.id); } # see docs/index.md",
    ),
    (
        ("space",),
        "def keep(self):\n    for row in rows:\n        if row:\n            return row\n\n    return None\n",
    ),
    (
        ("hexadecimal",),
        "94071d67-86df455c8ee9691e492ff740 0d7ba717e034410e88abc13d37cc6499 f47ac10b58cc4372a567",
    ),
    (("opaque",), "cF8kQz3Vn1LxT7bWm2RyH5dGj9SpA4eUo6 K8fZq2Xw7Nc1Mv5Bt3Ry9Lp4Jh6Gd"),
    (("rule",), "----------------------------------------\n================================"),
    (
        ("romance", "accented"),
        "Bonjour, je n'ai presque pas dormi parce que les voisins ont fait la fête jusqu'à trois heures, et "
        "vendredi je pars avec une amie.",
    ),
    (
        ("romance", "accented"),
        "Buenos días, casi no he dormido porque los vecinos estuvieron de fiesta hasta las tres de la "
        "mañana, y tengo que volver antes de la boda de mi hermana.",
    ),
    (
        ("foreign",),
        "Guten Morgen, ich habe kaum geschlafen, weil die Nachbarn bis drei Uhr gefeiert haben, und wir "
        "haben eine kleine Wohnung in der Stadt gemietet.",
    ),
    (
        ("diacritic",),
        "Dzień dobry, prawie nie spałem, bo sąsiedzi świętowali do trzeciej w nocy, a w piątek jadę z Martą.",
    ),
    (
        ("han", "wide"),
        "早上好,我昨天晚上没睡好,因为邻居一直在庆祝。星期五我要和朋友去里斯本,我们在河边租了一套小公寓。",
    ),
    (
        ("han",),
        "操作系统用虚拟内存让程序以为自己拥有更多的内存,不常用的页面被换出到磁盘。明朝万历年间刊刻的善本。",
    ),
    (
        ("kana",),
        "おはようございます。となりのひとたちがパーティーをしていたので、ほとんどねむれませんでした。",
    ),
    (
        ("hangul",),
        "안녕하세요. 이웃들이 새벽까지 잔치를 해서 거의 잠을 못 잤습니다. 금요일에 리스본으로 갑니다.",
    ),
    (
        ("russian",),
        "Доброе утро, я почти не спал, потому что соседи праздновали до трёх часов ночи. Напомни мне купить "
        "подарок: она любит керамику, старые карты и чай.",
    ),
    (("cyrillic",), "Доброго ранку, її сусіди святкували, і я їду до Києва, бо є квартира біля річки."),
    (("greek",), "Καλημέρα, σχεδόν δεν κοιμήθηκα, γιατί οι γείτονες γιόρταζαν μέχρι τις τρεις το πρωί."),
    (("greek",), "בוקר טוב, כמעט לא ישנתי כי השכנים חגגו עד מאוחר, וביום שישי אני נוסעת."),
    (("arabic",), "صباح الخير، لم أنم كثيرا لأن الجيران كانوا يحتفلون حتى الساعة الثالثة. أرجو أن تذكرني."),
    (("thai",), "สวัสดีตอนเช้า ฉันแทบไม่ได้นอนเลย เพราะเพื่อนบ้านจัดงานเลี้ยง วันศุกร์ฉันจะไปเที่ยวแม่น้ำ"),
    (("indic",), "सुप्रभात, मैं मुश्किल से सोया क्योंकि पड़ोसी रात तीन बजे तक जश्न मना रहे थे।"),
    (("indic",), "காலை வணக்கம், நான் சரியாகத் தூங்கவில்லை."),
    (("letters",), "ደህና አደርክ። ጎረቤቶቼ እስከ ሌሊቱ ድረስ። გამარჯობა, როგორ ხარ დღეს?"),
    (("typographic",), "“So” – he said … ‘no’ — it’s 20 °C · 5 × 4 «yes»"),
    (("symbol", "other"), "🎉🎉 🥳🎂 ❤️ 😘👍🏽 ✈️ 😂😂 🙏 ✨ 🔥 ✅ → ∑ ≤"),
)
"""Texts, each with the classes of ``models.tokens`` whose cost it shows, the highest of several texts;
the classes before it are known then."""


@dataclass(slots=True)
class Tokenizers:
    """The counters of models, fitted to the tokenizers of their servers where these can be asked."""

    _fitted: dict[str, Counter | None] = field(default_factory=dict[str, Counter | None])
    _asked: dict[str, float] = field(default_factory=dict[str, float])

    def counter(self, name: str) -> Counter:
        """Return the counter of a model by its name in the settings."""
        return self._fitted.get(name) or counter_for(family_of(name))

    async def learn(self, target: Target) -> None:
        """Ask the target's server, unless that was done, or it did not answer a moment ago."""
        url, provider = target.endpoint.base_url, target.endpoint.provider
        may_count = target.provider.adapter == "openai" and provider not in _OTHERS
        if not may_count or not url.startswith("http:") or target.name in self._fitted:
            return
        if anyio.current_time() - self._asked.get(target.name, -_FRESH) < _FRESH:
            return
        self._asked[target.name] = anyio.current_time()
        with anyio.move_on_after(_TIMEOUT):
            found = await _measured(target)
            self._fitted.update(found)


async def _measured(target: Target) -> dict[str, Counter | None]:
    """Return the counter by the target's name, None if the server counts nothing; nothing at all if it does
    not answer."""
    counts: list[int] = []
    async with facts_client(target.endpoint) as client:
        for _, text in SAMPLES:
            status, found = await _count(client, target.endpoint, target.model, text)
            if not status or status >= 500:
                return {}
            if not found:
                return {target.name: None}
            counts.append(found)
    return {target.name: fitted(counts)}


async def _count(client: AsyncClient, endpoint: Endpoint, model: str, text: str) -> tuple[int, int]:
    """Return the status, and the tokens of a text, 0 if the server does not say. llama.cpp reads the first
    two fields, the others the rest."""
    root = endpoint.base_url.rstrip("/").removesuffix("/v1")
    body = {
        "content": text, "add_special": False, "model": model, "prompt": text, "add_special_tokens": False,
    }  # fmt: skip
    status, answer = await json_from(client, f"{root}/tokenize", body)
    found = cast("dict[str, Any]", answer).get("tokens") if isinstance(answer, dict) else None
    return status, len(cast("list[Any]", found)) if isinstance(found, list) else 0


def fitted(counts: Sequence[int]) -> HeuristicCounter:
    """Return the counter for a tokenizer that has these counts of the samples."""
    singly = counts[0] >= sum(letter.isdigit() for letter in _DIGITS)
    family: Family = "small" if singly else "cl100k"
    factors: dict[str, float] = {}
    for (classes, text), real in zip(SAMPLES, counts, strict=True):
        known = {name: factor for name, factor in factors.items() if name not in classes}
        costs = HeuristicCounter(family, known).by_class(text)
        if own := sum(costs.get(each, 0.0) for each in classes):
            factor = (_SAFETY * real - (sum(costs.values()) - own)) / own
            believed = min(_LARGEST, max(_SMALLEST, factor))
            factors |= {each: max(believed, factors.get(each, 0.0)) for each in classes}
    return HeuristicCounter(family, factors)
