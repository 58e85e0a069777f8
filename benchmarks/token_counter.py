# ruff: noqa: E501  (the texts keep their own lines)
"""How far the heuristic token counter is from a real byte-pair encoder, per class of text, and how fast.

    python benchmarks/token_counter.py --ranks cl100k_base.tiktoken [--family cl100k]
    python benchmarks/token_counter.py --tokenizer tokenizer.json --family large [--fit]
    python benchmarks/token_counter.py --server http://127.0.0.1:8080 --family small [--fit]

The ranks file is an input and is not part of the project: either OpenAI's ``*.tiktoken`` (a base64 token and
its rank a line) or the module of that name in the npm package ``js-tiktoken`` (``dist/ranks/*.js``). The other two inputs are the tokenizer of an open model, as a file of the library
``tokenizers`` or as a server's ``/tokenize``; ``--fit`` fits the counter to it first, as agents do. The
encoder here is the plain algorithm in thirty lines; the texts were written for this file. Exit status 1
when a class of at least 100 tokens is under-counted by more than 10 %.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.request import Request, urlopen

from pagefault.models.directory.tokenizers import SAMPLES, fitted
from pagefault.models.tokens import Family, HeuristicCounter

ALLOWED_UNDER = -0.10

# The two splitters, with the standard library's classes: [^\W\d_] is a letter, [^\W\d_A-Z] a lower-case one.
_CONTRACTION = r"'(?:[sdmt]|ll|ve|re)"
_MARKS = r"[^\s\w]|_"
SPLITTERS: dict[Family, re.Pattern[str]] = {
    "cl100k": re.compile(
        rf"(?i:{_CONTRACTION})|(?:[^\r\n\w]|_)?[^\W\d_]+|\d{{1,3}}| ?(?:{_MARKS})+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "o200k": re.compile(
        rf"(?:[^\r\n\w]|_)?(?:[A-Z]*[^\W\d_A-Z]+|[A-Z]+)(?i:{_CONTRACTION})?|\d{{1,3}}"
        rf"| ?(?:{_MARKS})+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}


def read_ranks(path: Path) -> dict[bytes, int]:
    """Read the rank of each token, from either file format."""
    text = path.read_text(encoding="utf-8")
    ranks: dict[bytes, int] = {}
    if '"bpe_ranks"' in text:
        fields = cast("dict[str, Any]", json.loads(text[text.index("{") : text.rindex("}") + 1]))
        for line in cast("str", fields["bpe_ranks"]).splitlines():
            _, first, *tokens = line.split(" ")
            ranks.update((base64.b64decode(token), int(first) + n) for n, token in enumerate(tokens))
    else:
        for line in text.splitlines():
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    return ranks


def pieces_of(word: bytes, ranks: dict[bytes, int]) -> int:
    """Count the tokens of one word: merge the pair of the lowest rank until none is left."""
    if word in ranks:
        return 1
    parts = [word[i : i + 1] for i in range(len(word))]
    while len(parts) > 1:
        best = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], sys.maxsize))
        if parts[best] + parts[best + 1] not in ranks:
            break
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return len(parts)


def encode_length(text: str, family: Family, ranks: dict[bytes, int]) -> int:
    return sum(pieces_of(word.encode(), ranks) for word in SPLITTERS[family].findall(text))


def ids_and_numbers(seed: int = 1) -> Iterator[tuple[str, str]]:
    """The classes that are made, not written."""
    rng = random.Random(seed)
    ids = {
        str(uuid.UUID(int=rng.getrandbits(128))): str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(8)
    }
    yield "UUIDs in JSON", json.dumps(ids, indent=1)
    yield "hexadecimal digests", "\n".join(rng.randbytes(32).hex() for _ in range(6))
    yield "base64", base64.b64encode(rng.randbytes(300)).decode()
    rows = (
        f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02},{rng.random() * 900:.2f}" for _ in range(30)
    )
    yield "dates and numbers", "\n".join(rows)


WRITTEN = {
    "English chat": """Hey, good morning! I didn't sleep much, the neighbours had a party until three.
Oh no, that's the second time this month, isn't it? Did you talk to them about it?
I did, they were really nice and promised it won't happen again. Anyway, I'm off to Lisbon on Friday with
Martha, we booked a little flat near the river. My sister's wedding is on the 14th of June, so I'll be back
before that. Could you remind me to buy a present? She likes ceramics, old maps and anything to do with tea.
Of course. I'll remind you a week before. By the way, how is your knee after the half marathon?""",
    "English prose": """Main memory is small and fast; the disk is large and slow. An operating system hides the
difference by moving pages between the two, so that a program may pretend to own far more memory than the
machine has. The language model's context window is its main memory, and everything that does not fit must be
found elsewhere when it is needed. Summaries lose detail, and detail is what people ask about months later.
Consequently the conversation is stored verbatim, and retrieval brings the relevant passages back.""",
    "function calls": """[{"id": "call_7Qe", "type": "function", "function": {"name": "working_context_append",
"arguments": "{\\"section\\": \\"human\\", \\"text\\": \\"Lives in Lisbon since 2024; allergic to peanuts.\\",
\\"request_heartbeat\\": true}"}}, {"id": "call_8Rf", "type": "function", "function": {"name": "recall_search",
"arguments": "{\\"query\\": \\"sister's wedding date\\", \\"page\\": 2, \\"roles\\": [\\"user\\"]}"}},
{"id": "call_9Tg", "type": "function", "function": {"name": "send_message", "arguments": "{\\"message\\":
\\"It is on the 14th of June. Shall I remind you a week before?\\"}"}}]""",
    "function schemas": """{"type": "function", "function": {"name": "archival_search", "description": "Search
archival storage. Results are paged, the best match first.", "parameters": {"type": "object", "properties":
{"query": {"type": "string", "description": "What to look for."}, "tags": {"anyOf": [{"type": "array", "items":
{"type": "string"}}, {"type": "null"}], "default": null}, "page": {"type": "integer", "default": 1, "minimum":
1}, "request_heartbeat": {"type": "boolean", "description": "Run again after this call."}}, "required":
["query"], "additionalProperties": false}}}""",
    "Python": """@dataclass(frozen=True, slots=True)
class Queue:
    rows: tuple[Row, ...] = ()

    def evict(self, budget: int, *, keep_last: int = 1) -> tuple["Queue", list[Row]]:
        \"\"\"Return the queue without its oldest groups, and what was evicted.\"\"\"
        evicted: list[Row] = []
        rows = list(self.rows)
        while len(rows) > keep_last and sum(row.tokens for row in rows) > budget:
            group = rows[0].completion_id
            while rows and rows[0].completion_id == group:
                evicted.append(rows.pop(0))
        return replace(self, rows=tuple(rows)), evicted
""",
    "JavaScript": """export async function fetchUserProfile(userId, { retries = 3, timeoutMs = 5000 } = {}) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeoutMs);
  try {
    const res = await fetch(`/api/v2/users/${encodeURIComponent(userId)}`, { signal: controller.signal });
    if (!res.ok) throw new HttpError(res.status, await res.text());
    return normalizeProfile(await res.json());
  } finally {
    clearTimeout(timer);
  }
}
""",
    "logs and Markdown": """## What changed

- **Storage**: the log is append-only (see `docs/architecture.md`), [#412](https://example.org/pull/412)
- `pagefault agent list --json` prints `name`, `window` and `last_seen`

| window | turns/s | p95 (ms) |
|-------:|--------:|---------:|
|   4096 |   151.2 |     12.8 |
|  16384 |   149.9 |     13.1 |

2026-03-04T10:15:32.118Z INFO  worker-3 agent=ana event=1187 took=4.2ms
2026-03-04T10:15:32.121Z WARN  worker-3 agent=ana pressure=0.71 head=1311 room=2273 -> warned
""",
    "Chinese chat": """早上好!我昨天晚上没睡好,楼上一直在装修。今天下午两点要去医院给妈妈拿药,你能提醒我吗?
好的,我会在一点半提醒你。对了,你上次说妈妈对青霉素过敏,记得告诉医生。谢谢,你记性真好!
我下个月要从上海搬到杭州去工作,新公司在西湖旁边,做的是智能家居。我女朋友叫林晓燕,她是小学老师,喜欢爬山和摄影。
我们养了一只三岁的橘猫,名字叫馒头。生日是五月二十号,别忘了到时候提醒我给她买礼物,她最近想要一台胶片相机。""",
    "Chinese prose": """操作系统用虚拟内存让程序以为自己拥有比实际更多的内存:不常用的页面被换出到磁盘,需要时再调入主存。
大语言模型的上下文窗口也是如此,放不下的内容必须存到外部,并在需要的时候检索回来。摘要会丢失细节,
而几个月以后人们问起的往往正是细节,所以对话要逐字保存。队列中最早的消息被移出之前,系统会先提出警告,
让模型有机会把重要的事实写进工作上下文或者归档存储。""",
    "Japanese": """おはようございます。昨日は友達と京都へ行って、清水寺を見てきました。とても混んでいましたが、楽しかったです。
来週の火曜日に歯医者の予約があるので、前の日に教えてください。母の誕生日は六月十四日で、プレゼントはまだ決めていません。
コーヒーよりも紅茶が好きなので、新しいティーポットがいいかもしれません。データベースのバックアップは毎晩二時に動きます。""",
    "Korean": """안녕하세요. 저는 서울에서 일하는 개발자입니다. 다음 주 금요일에 부산으로 출장을 가야 해서 기차표를 예매했어요.
여동생의 결혼식은 유월 십사일이고, 선물은 아직 고르지 못했습니다. 커피보다 녹차를 더 좋아하고 땅콩 알레르기가 있습니다.
회의는 오전 열 시에 시작하니까 삼십 분 전에 알려 주세요.""",
    "mixed Chinese, English": """我在用 Python 3.12 写一个 agent,context window 只有 4096 tokens,老是报 context_length_exceeded。
你可以先 flush 一次 FIFO queue,把旧消息总结成 recursive summary,再重试 `agent.send("hi")`。
OK,我 deploy 到 staging 了,latency 从 120ms 降到 35ms 👍,但是 CI 里 test_queue_manager.py 还有 2 个 case 失败。
Let's fix it tomorrow,明天上午 10:30 开会讨论,会议链接 https://meet.example.com/abc-defg-hij 。""",
    "French": """Bonjour, je n'ai presque pas dormi parce que les voisins ont fait la fête jusqu'à trois heures du
matin. Vendredi je pars à Lisbonne avec Marthe, nous avons loué un petit appartement près du fleuve. Le mariage
de ma sœur est le quatorze juin, il faudra donc que je sois rentrée avant. Pourriez-vous me rappeler d'acheter
un cadeau ? Elle aime la céramique, les vieilles cartes et tout ce qui concerne le thé.""",
    "German": """Guten Morgen, ich habe kaum geschlafen, weil die Nachbarn bis drei Uhr gefeiert haben. Am Freitag
fahre ich mit Martha nach Lissabon, wir haben eine kleine Wohnung in der Nähe des Flusses gemietet. Die
Hochzeit meiner Schwester ist am vierzehnten Juni, also muss ich vorher zurück sein. Kannst du mich daran
erinnern, ein Geschenk zu kaufen? Sie mag Keramik, alte Landkarten und alles, was mit Tee zu tun hat.""",
    "Spanish": """Buenos días, casi no he dormido porque los vecinos estuvieron de fiesta hasta las tres de la
mañana. El viernes me voy a Lisboa con Marta, hemos alquilado un piso pequeño cerca del río. La boda de mi
hermana es el catorce de junio, así que tengo que volver antes. ¿Puedes recordarme que compre un regalo? Le
gustan la cerámica, los mapas antiguos y todo lo que tiene que ver con el té.""",
    "Russian": """Доброе утро, я почти не спал, потому что соседи праздновали до трёх часов ночи. В пятницу мы с
Мартой едем в Лиссабон, сняли маленькую квартиру рядом с рекой. Свадьба моей сестры четырнадцатого июня,
поэтому мне нужно вернуться раньше. Напомни мне, пожалуйста, купить подарок: она любит керамику, старые карты
и всё, что связано с чаем.""",
    "Arabic": """صباح الخير، لم أنم كثيرا لأن الجيران كانوا يحتفلون حتى الساعة الثالثة. سأسافر يوم الجمعة إلى
لشبونة مع مارتا، وقد استأجرنا شقة صغيرة بالقرب من النهر. حفل زفاف أختي في الرابع عشر من يونيو، لذلك يجب أن
أعود قبل ذلك. هل يمكنك أن تذكرني بشراء هدية؟""",
    "emoji": "🎉🎉 Happy birthday!! 🥳🎂 Love you ❤️❤️ see you tonight 😘👍🏽 🇵🇹✈️ 👨‍👩‍👧 😂😂😂 🙏 ✨ 🔥🔥 💪 🤷‍♀️ ok? ✅ 📌 🚀 💡 🫠"
    * 2,
}


def measure(text: str, counter: HeuristicCounter) -> float:
    """Return microseconds per 100 characters, the best of five runs over about 20,000 characters."""
    repeated = text * (20_000 // len(text) + 1)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        counter.count(repeated)
        best = min(best, time.perf_counter() - start)
    return best * 1e8 / len(repeated)


def of_server(url: str, text: str) -> int:
    body = json.dumps({"content": text, "add_special": False}).encode()
    request = Request(f"{url.rstrip('/')}/tokenize", body, {"content-type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        return len(json.load(answer)["tokens"])


def length_of(options: argparse.Namespace) -> Callable[[str], int]:
    """The function that counts with the real encoder."""
    if options.server:
        return partial(of_server, options.server)
    if options.ranks:
        return partial(encode_length, family=options.family, ranks=read_ranks(options.ranks))
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(options.tokenizer))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    encoder = arguments.add_mutually_exclusive_group(required=True)
    encoder.add_argument("--ranks", type=Path, help="the ranks of the family")
    encoder.add_argument("--tokenizer", type=Path, help="a tokenizer.json")
    encoder.add_argument("--server", help="the root of a server with /tokenize")
    arguments.add_argument("--family", choices=("cl100k", "o200k", "large", "small"), default="cl100k")
    arguments.add_argument("--fit", action="store_true", help="fit the counter to the encoder first")
    options = arguments.parse_args()
    length, family = length_of(options), cast("Family", options.family)
    counter = fitted([length(text) for _, text in SAMPLES]) if options.fit else HeuristicCounter(family)
    errors: list[float] = []
    print(f"{'class':24}{'chars':>7}{'real':>7}{'counted':>9}{'error':>8}{'us/100 chars':>14}")
    for name, text in (*WRITTEN.items(), *ids_and_numbers()):
        real, counted = length(text), counter.count(text)
        errors.append(counted / real - 1)
        speed = measure(text, counter)
        print(f"{name:24}{len(text):7}{real:7}{counted:9}{errors[-1]:8.1%}{speed:14.1f}")
    mean = sum(abs(error) for error in errors) / len(errors)
    bias = sum(errors) / len(errors)
    print(f"mean absolute error {mean:.1%}, mean error {bias:+.1%}, worst {min(errors):+.1%}")
    return int(min(errors) < ALLOWED_UNDER)


if __name__ == "__main__":
    raise SystemExit(main())
