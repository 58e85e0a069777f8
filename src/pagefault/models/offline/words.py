"""Words, as far as the offline model knows any: sentences, questions, statements, and the topics of a text.

Topics are stemmed words without stop words, and pairs of Chinese characters; a short list of synonyms in both
languages maps several words to one topic. Patterns are compiled by ``re`` when they are first used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from pagefault.storage.terms import terms

BEINGS = "@"  # the topics of people and animals begin so: a text about my sister is not about me

_SYNONYMS = """
name: name named called nickname surname 名字 姓名 叫; home: live living home house flat move moved 住 搬
job: job work occupation profession career company 工作 职业 上班 公司
birthday: birthday born birth 生日 出生
age: age old aged turned 岁 年龄 多大; allergy: allergy allergic intolerant 过敏; friend: friend 朋友
study: study degree university college 大学 读书 专业; travel: trip travel holiday flight plan 旅行 打算 航班
favourite: favourite favorite like love prefer 喜欢 最爱; eat: eat food dish meal dinner lunch 菜 吃 饭
@sister: sister 妹妹 姐姐; @brother: brother 弟弟 哥哥; @mother: mother mum mom 妈妈 母亲 妈
@father: father dad 爸爸 父亲 爸; @son: son 儿子; @daughter: daughter 女儿
@child: child children kid baby 孩子
@partner: partner wife husband boyfriend girlfriend 妻子 太太 老婆 丈夫 老公
@colleague: colleague coworker boss manager 同事 老板 经理; @dog: dog puppy 狗; @cat: cat kitten 猫"""
_NAMING = r"\b(?:I'm|I am) [A-Z]\w+|(?i:\bcall me\b|\bmy (?:\w+ )?name\b)|我叫|我的名字|我是\w{2,3}[，。]"
_SHAPES = (  # sentences that are about a topic without its word
    (_NAMING, "own name"), (r"(?i)\bi(?:'m| am) an? |for a living|当", "job"), (r"\bI(?:'m| am) \d\d", "age"),
)  # fmt: skip
_STOP = """a about again ago also am an and any are as at be been by can could did do does don for
from get got had has have he her him his how i if in is it its just kind know let ll m me much many my
myself no not now of off ok on one or our out please question re really remember remind s say she should some
sort still t tell than that the their them then there they this to too up us ve very was we were what when
where which who whose why will with would you your"""
_STOP_CHINESE = "什么时候|什么|怎么|哪里|多少|现在|[我你他她它们的了吗呢吧是在有和就也都还哪谁几这那]"
_ASKS = (
    r"(?i)(?:^|\w)[^\w?？]*+[?？]\W*+$|吗$|^(?=[^，。]*+$)[^，。]*(?<!没)(?:什么|哪|谁|几|多少|怎么)"
    r"|^(?:(?:hey|so|and|but|oh),? )*(?:what|where|when|who|whose|which|how|remind me|tell me"
    r"|(?:do|did|does|is|are|was|were|can|will|have) (?:i|you|we|my|our|the|she|he|they|it))\b(?!.*!$)"
)
_FIRST_PERSON = r"(?i)\b(?:i|my|mine|me|we|our|ours|us)\b|我|咱"
_OPENING = r"(?i)^(?:and|but|oh|no|so|sorry|wait|actually|well|i mean|其实|不对|\W)+"
_BARE = r"(?i)(?:it|that|he|she|they)(?:['’]s| is| was)\b|(?:his|her|its|on) |是|它|他|她"
_OWN_REPLY = (
    r"(?:You told|I said|It says).* on \d|I don't know|Noted|Welcome b|I am the off|.{0,9}在 \d|我不知|记下"
)


def _synonyms() -> list[tuple[str, str]]:
    return re.findall(r"([@\w]+): ([^;\n]+)", _SYNONYMS)


@cache
def _topic_of_word() -> Mapping[str, str]:
    """English stems and Chinese words, each with its topic; stop words have none."""
    found = dict.fromkeys(terms(_STOP), "")
    for topic, words in _synonyms():
        found |= {terms(word)[0] if word.isascii() else word: topic for word in words.split()}
    return found


def topics(text: str) -> frozenset[str]:
    """Return what a text is about: synonyms count as one topic, other words as themselves."""
    known = _topic_of_word()
    found = {topic for pattern, topic in _SHAPES if re.search(pattern, text)}
    text = text.replace("for a living", "").replace("-in-law", "inlaw")
    if not text.isascii():
        chinese = [word for word in known if not word.isascii()]
        found |= {known[word] for word in chinese if word in text}
        text = re.sub("|".join([*chinese, _STOP_CHINESE]), " ", text)
    found |= {known.get(unit, unit) for unit in terms(text) if len(unit) > 1 or unit.isdigit()}
    return frozenset(found - {""})


def other_words(text: str) -> str:
    """All synonyms of a text's topics, in both languages, to search with; empty if there are none."""
    return " ".join(words for topic, words in _synonyms() if topic in topics(text))


def sentences(text: str) -> list[str]:
    """Cut a text at the ends of sentences and lines."""
    pieces = re.split(r"(?<=[a-z\d)\"”][.!?]) +(?=[^a-z])|(?<=[。！？])|\n+", text)
    return [piece.strip() for piece in pieces if piece.strip()]


def is_question(sentence: str) -> bool:
    return bool(re.search(_ASKS, sentence))


def told(text: str) -> str:
    """The sentences of a text that ask nothing; empty if this model wrote it, to answer a question."""
    if re.match(_OWN_REPLY, text):
        return ""
    return " ".join(piece for piece in sentences(text) if not is_question(piece))


def is_personal(text: str) -> bool:
    return bool(re.search(_FIRST_PERSON, text))


def is_bare(text: str) -> bool:
    """Return whether a text ("Actually, it is blue.", "No, blue.") says nothing without the one before."""
    rest = re.sub(_OPENING, "", text)
    return bool(re.match(_BARE, rest)) or (rest != text and len(rest.split()) == 1)


def is_chinese(text: str) -> bool:
    return 4 * len(re.findall("[\u3400-\u9fff]", text)) > len(text.replace(" ", ""))
