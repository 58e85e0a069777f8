"""What the offline model says when it quotes nothing: acknowledgements, small talk, "I don't know".

Each list is English, then Chinese; which of a list is said depends on the text it answers, so that replies
vary and stay deterministic. Nothing here claims knowledge.
"""

from __future__ import annotations

import re
from zlib import crc32

from pagefault.models.offline.language import fold

__all__ = ["is_small_talk", "pick"]

_PHRASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "noted": (
        (
            "Noted, I'll keep that in mind.",
            "Got it, I'll remember that.",
            "Thank you, that is noted.",
            "All right, I've made a note of it.",
        ),
        ("好的，我记下了。", "记住了。", "明白，我会记得的。", "好，已经记下来了。"),
    ),
    "unknown": (
        (
            "I don't know: I find nothing about that in what you told me.",
            "I don't know, I have no record of that.",
        ),
        ("我不知道，没有找到你说过这件事的记录。", "我不知道，记忆里没有这件事。"),
    ),
    "how": (("I'm here and listening.", "All is well here, thank you."), ("我在听。", "我很好，谢谢。")),
    "hello": (("Hello!", "Hi there!", "Good to hear from you."), ("你好！", "嗨！", "很高兴见到你。")),
    "thanks": (("You're welcome.", "Any time."), ("不客气。", "随时都可以。")),
    "bye": (("Goodbye, talk to you later.", "See you next time."), ("再见，下次聊。", "回头见。")),
    "chat": (
        (
            "I see.",
            "Thanks for telling me.",
            "I hear you.",
            "Fair enough.",
            "Go on, I'm listening.",
            "Understood.",
        ),
        ("嗯，我在听。", "原来如此。", "谢谢你告诉我。", "明白了。", "好的。"),
    ),
    "sad": (
        ("I'm sorry to hear that.", "That is hard, I'm sorry.", "I'm sorry. Thank you for telling me."),
        ("听到这个我很难过。", "真不容易，辛苦你了。", "很遗憾。谢谢你告诉我。"),
    ),
    "mine": (
        (
            "I'm a program: I have no tastes or views of my own.",
            "I'm a program, so that is not for me to say.",
        ),
        ("我是程序，没有自己的喜好和看法。", "我只是个程序，这个我说不上来。"),
    ),
    "welcome": (("Welcome back{}!",), ("欢迎回来{}！",)),
    "opener": ((" You told me: {} How is that going?",), ("你告诉过我：{}最近怎么样？",)),
    "reminder": (("Reminder: {}",), ("提醒：{}",)),
    "upload": (("Thank you, the upload has arrived: {}",), ("谢谢，文件已收到：{}",)),
    "agent": (("A message from {} has arrived.",), ("收到了{}的消息。",)),
    "event": (("Noted: {}",), ("收到：{}",)),
    "day": (("On {} you told me: {}",), ("{}你告诉我：{}",)),
}
_KINDS = (
    (
        "sad",
        re.compile(
            r"\b(?:died|dead|passed away|funeral|cancer|in hospital|accident|got fired|laid off|lost my job"
            r"|divorc\w+|broke up|stolen|heartbroken|crying|cried|depressed|so sad|really sad|put to sleep"
            r"|miscarriage|diagnosed|grie(?:f|ving)|burgled|made redundant)\b"
            r"|去世|过世|走了.{0,3}难过|葬礼|癌|住院|车祸|失业|被裁|离婚|分手|难过|伤心|被偷|确诊|流产|哭了"
        ),
    ),
    ("thanks", re.compile(r"^(?:many )?(?:thanks|thank you|thx|cheers)\b|^谢谢|^多谢|^感谢")),
    ("bye", re.compile(r"\b(?:bye|goodbye|good night|see you|talk later)\b|再见|晚安|拜拜|回头见")),
    (
        "hello",
        re.compile(
            r"^(?:hi|hello|hey|good (?:morning|evening|afternoon))\b|^你好|^您好|^嗨|^早上好|^晚上好|^早安"
        ),
    ),
)
_ABOUT_ME = re.compile(
    r"^(?:(?:and|so|hey|but|hi)[,]? )*(?:do|did|have|are|were|would|will|can) you (?:ever |also |even "
    r"|really )?"
    r"(?:like|love|enjoy|prefer|believe|think|sleep|eat|drink|dream|feel|get|have an?y? (?!idea|record|note)"
    r"|want|hate|fear|sing|a robot|an? |human|real|tired|bored|happy|been|care for|fancy|mind|ever (?!say"
    r"|tell|mention)|play"
    r"|watch|speak|cook|read)"
    r"|\bwhat(?:'s| is| are| do) (?:you|your) (?:take|opinion|thoughts?|view|think|make of|reckon)\b"
    r"|^你(?:也|还|会不会|平时|平常|有没有)?(?:喜欢|爱|怕|相信|觉得|想|吃|睡|做什么|会|累|是(?:人|机器)"
    r"|喝|听|看)(?!.*(?:我|记得|说过))"
)
_SMALL_TALK = re.compile(
    r"\bhow (?:are|'re) you\b|\bhow(?:'s| is) it going\b|\bwhat'?s up\b|\bhow was your (?:day|weekend"
    r"|night)\b|\bare you (?:there|ok|okay|listening)\b"
    r"|\bhow do you do\b|\bcan you help\b|\bguess what\b|\byou know what\b|, (?:right|ok|okay|no|eh"
    r"|huh|you know|innit|yeah|see|get it)\?$|(?:isn't|aren't|don't|doesn't|wasn't|won't) (?:it|they|you"
    r"|that)\?$"
    r"|\bwhat about you\?|\band you\?|\bwhat do you think\b|\bcan you believe\b|\bwho knows\b|\bwhy not\?$"
    r"|^really\?$|^who would\b|^did you (?:get|hear|see|catch) (?:that|all|it|this)\b|^why (?:are|is|do"
    r"|does) (?!i\b|my\b|we\b)"
    r"|你好吗|最近(?:怎么样|好吗)|你呢|在吗|[是对好]吧[？?]?$|好不好[？?]?$|对不对|是不是[？?]$|吃了吗"
    r"|你觉得|猜猜|你说.{1,6}不.{1,4}[？?]|你知道[\x22「]|忙吗|真的吗|谁知道|怎么说呢|是不是很|怎么会这样"
    r"|这是怎么回事|你说呢"
)


def is_small_talk(sentence: str) -> bool:
    """Whether a question wants no answer from memory."""
    folded = fold(sentence)
    return _SMALL_TALK.search(folded) is not None or _ABOUT_ME.search(folded) is not None


def pick(kind: str, seed: str, chinese: bool, *parts: str) -> str:
    """One of the phrases of a kind; ``chat`` and ``noted`` are made more exact by what ``seed`` says."""
    if kind == "noted" and _KINDS[0][1].search(fold(seed)):
        kind = "sad"
    if kind == "chat":
        kind = next((name for name, pattern in _KINDS if pattern.search(fold(seed))), kind)
        kind = "mine" if kind == "chat" and _ABOUT_ME.search(fold(seed)) else kind
        kind = "how" if kind == "chat" and is_small_talk(seed) else kind
    phrases = _PHRASES[kind][chinese]
    return phrases[crc32(seed.encode()) % len(phrases)].format(*parts)
