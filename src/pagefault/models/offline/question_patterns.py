"""Patterns of questions in English and Chinese: which attribute is asked, about whom, what kind of answer.

Data for ``questions``, to be matched against folded text. ``SPENT`` are the words that an attribute's
pattern accounts for, ``HINTS`` (English, Chinese) the words in which the attribute is usually told.
"""

from __future__ import annotations

import re
from typing import Literal

Wanted = Literal["number", "time", "year", "place", "person", ""]
REMINDING = re.compile(
    r"\b(?:hey|hi|hello|so|and|but|well|ok|okay|by the way|btw|also|quick question)\b[,!]? |\b(?:do|can"
    r"|could|would|will) you (?:still |please |even |happen to |possibly )*(?:remember|know|recall|tell me"
    r"|remind me)(?: about| of)?\b"
    r"|\b(?:please )?(?:tell|remind) me(?: again)?(?: about| of)?\b|\bdid i (?:ever |already )?(?:tell you"
    r"|mention(?: to you)?|say)(?: about| that)?\b|\bhave i (?:ever |already )?(?:told you"
    r"|mentioned)(?: about| that)?\b"
    r"|\b(?:did|have) you (?:ever )?(?:tell me|told me|mention(?:ed)?|say|said)\b|\b(?:that )?(?:i"
    r"|you) (?:ever |once |had |have )*(?:told you|told me|said|mentioned|told)(?: about| that| to (?:me"
    r"|you))?\b|\bagain\b|\b(?:as a (?:child|kid)|when i was (?:\w+ ?){1,3})|\bdo you think\b"
    r"|你?(?:还)?记不?记?得|你?(?:知不)?知道|(?:能|可以|请)?(?:不能)?(?:再)?告诉(?:过)?[你我]?"
    r"|提醒(?:一下)?我|[我你](?:之前|以前|曾经"
    r"|刚才)?(?:跟你|和你|跟我|和我|对你)?(?:说|提|讲|提到)过"
)
ABOUT_USER = re.compile(
    r"\b(?:did i|have i|i)(?: ever| once| already| had)? (?:tell|told|mention|mentioned|say|said)\b|我(?:之前"
    r"|以前|曾经)?(?:跟你|和你)?(?:告诉|说|提|讲)"
)
ABOUT_AGENT = re.compile(
    r"\b(?:did you|have you|you)(?: ever| once| had| have)? (?:tell|told|mention|mentioned|say|said"
    r"|recommend|recommended|suggest|suggested|promise|promised)\b|你(?:之前|以前|曾经)?(?:跟我"
    r"|和我)?(?:告诉|说|提|讲|推荐"
    r"|建议|答应)"
)
REQUEST = re.compile(
    r"\b(?:can|could|would|will|do) you (?:please |kindly )?(?:tell|remind|say|mention)"
    r"|(?:能|可以|请)你?(?:再)?告诉"
)
PRESUMED = re.compile(
    r"\bremember (?:that|the|when|the other|that one|one)\b.*\b(?:we|you|i)\b.*\b(?:talk|chat|discuss"
    r"|mention|said|spoke|told|tell)|还记得.{0,6}(?:我们|咱们).*(?:聊|谈|说)"
)
ASKED = {
    "home": re.compile(
        r"where.*\b(?:live|living|home|house|flat|apartment|based|reside|staying)\b|\b(?:what"
        r"|which) (?:city|town|country|village|place|street|part|neighbou?rhood|district"
        r"|area)\b.*\b(?:live|living|home|in|based|reside)\b"
        r"|\b(?:my|your) (?:home |current |new )?address\b|where (?:did|have|am|are|is|has"
        r"|does) [\w' ]+ (?:mov(?:e|ed|ing)|relocat\w+)(?: to| now)?\b|still live"
        r"|住(?:在)?(?:哪|什么|的)|住址|地址|家在哪|搬(?:到|去)(?:了)?(?:哪|什么)|住哪|定居在?哪|哪(?:个"
        r"|座)?城市.{0,2}住|(?:在|是)哪(?:个|座)?城市(?!.*[读学上工出开])|住过"
    ),
    "job": re.compile(
        r"what.*\bdo(?:es)?\b.*\b(?:for a living|for work|for a job|as a job|professionally)\b|what (?:do"
        r"|does|did) (?!i\b|we\b|you\b)[\w' -]+ do\b[^a-z]*$|\b(?:job(?! (?:interview"
        r"|offer|application|search|fair))|profession|occupation|career"
        r"|employer|workplace"
        r"|line of work|field)\b"
        r"|where.*\bwork(?:ing)?\b|who.*\bwork(?:ing)? for\b|what.*\bwork (?:as|for|at)\b|what(?: kind of"
        r"| sort of)? work\b|(?:which|what) company|what.*\bfor a living\b"
        r"|\bhow\b.*\b(?:earn|make|made) (?:a|an|his|her|my|their|your) (?:living|money|keep)\b"
        r"|\bpays my bills\b"
        r"|(?:现在|目前)(?:在)?[做干]什么|做什么(?:工作|的|职业)|工作是|在(?:哪|什么).{0,6}(?:工作|上班"
        r"|任职)|职业|什么工作|哪家(?:公司|医院|单位)|干什么的|哪(?:里|儿)?(?:工作|上班)|靠什么"
    ),
    "age": re.compile(r"how old|\bage\b|年龄|多大(?!的)|几岁|多少岁"),
    "birthday": re.compile(r"\bbirthday\b|when.*\bborn\b|date of birth|生日|(?:哪天|什么时候|哪年|几月)出生"),
    "origin": re.compile(
        r"where.*\bfrom\b|where.*\bchildhood\b|where.*\b(?:born|grow up|grew up|raised)\b|\b(?:my"
        r"|your) home ?town\b|birthplace"
        r"|哪里人|哪国人|哪儿人|(?<!作)老家|来自哪|家乡|(?:在)?哪.{0,3}(?:出生|长大)|出生在哪"
    ),
    "name": re.compile(
        r"\b(?:names?|surname|called|named|call|nickname)\b"
        r"|\bwho am i$|\bwho(?:'s| is| was) (?!.*\b(?:with|for"
        r"|by|to|at)$)(?:my"
        r"|your) [\w' -]+$|叫什么|姓什么|姓啥|贵姓|名字|叫啥|是谁|叫做"
    ),
}
SPENT = {
    "home": r"live|living|home|house|flat|apartment|based|reside|address|city|town|country|street|place"
    r"|stay|mov|relocat|neighbo|district|area|village|住|地址|住址|家|搬|城市|定居",
    "job": r"work|job|earn|money|pay|bill|living|profession|occupation|career|employer|compan|field|line"
    r"|做|工作|上班|职业|公司|单位|干|行",
    "age": r"old|age|年龄|多大|岁|今年",
    "birthday": r"birthday|born|date|birth|生日|出生",
    "origin": r"born|childhood|spend|spent|grow|grew|raised|hometown|home|town|birthplace|老家|来自|家乡"
    r"|出生|长大|人|come",
    "name": r"names?$|surname$|call|named|nickname|名字|叫|名|姓",
}
HINTS = {
    "home": ("live moved home flat", "住 搬 家"),
    "past-home": ("moved from used to live lived", "从 搬 以前 住"),
    "job": ("work job as at started", "工作 上班 职业"),
    "age": ("years old turned", "岁 今年"),
    "birthday": ("birthday born", "生日 出生"),
    "origin": ("from born grew up hometown", "来自 老家 长大"),
    "name": ("name called named", "叫 名字"),
}
WANTED: tuple[tuple[Wanted, re.Pattern[str]], ...] = (
    ("year", re.compile(r"\b(?:what|which) year\b|哪一?年")),
    (
        "time",
        re.compile(
            r"\bwhen\b(?! (?:we|i|you) (?:talked|spoke|chatted))|\b(?:what|which) (?:day|date|month|time"
            r"|year)s?\b"
            r"|什么时候|几点|几月|几号|哪天|哪一天|哪年|哪一年|星期几|周几"
        ),
    ),
    (
        "number",
        re.compile(
            r"\bhow (?:many|much|tall|long|far|heavy|big)\b|\bwhat number\b|\bphone number\b"
            r"|(?<![号码]是)多少|几(?:个|只|口|次|楼|年|本|辆|层|斤|公里|岁)|多长|多高|多重|多久|电话|手机号"
        ),
    ),
    ("person", re.compile(r"^(?:and |so )?(?:with )?who(?:m|se)?\b|[和跟与被给替]谁|谁(?![？?。]*$)")),
    ("place", re.compile(r"\bwhere\b|哪里|哪儿|在哪|什么地方|哪(?:个|座)城市")),
)
CALLS_ME = re.compile(r"\bcalls? me\b|(?:叫|称呼)我")
BESIDE = re.compile(r"(?<=\w) (?:in|at|on|near|from|for) (?!my\b|our\b).*")
ONE_OF_SEVERAL = re.compile(
    r"\b(?:first|dream|ideal|last|second) (?:job|employer|house|flat|home|apartment)\b|第一份工作|第一个家"
)
COUNTED = re.compile(r"几(?:个)?([楼杯本只次口张条辆台双瓶件所门栋种层倍])")
TOLD_WHEN = re.compile(
    r"\bwhen did (?:i|you|we) (?:first )?(?:tell|say|mention|talk)|\bwhat (?:day|date) did (?:i|you"
    r"|we) (?:tell|say|mention|talk)|[我你]什么时候(?:告诉|说|提|跟)"
)
DAY = re.compile(
    r"(?P<iso>\d{4}-\d\d-\d\d)|\byesterday\b|昨天|\btoday\b|今天|(?P<month>\d{1,2})月(?P<day>\d{1,2})[日号]"
)
MANY = re.compile(
    r"\b(?:what|which|list|name) (?:all )?(?:\w+ )?(?:pets|animals|hobbies|siblings|allergies|languages"
    r"|instruments|sports|children|kids)\b|\ballergic to[?]?$|\bmy (?:hobbies|pets|kids|children|siblings"
    r"|allergies|languages)\b|哪些|都有|什么过敏"
)
TALKED = re.compile(r"\b(?:talk|talked|discuss|chat|chatted|say|tell|speak)\b|聊|谈|说了|讲")
POSSESSIVE = re.compile(r"\b(?:my|our|your)\b|[我你]们?的?")
MAIN_VERB = re.compile(
    r"\b(?:am|is|are|was|were) (?:i|you|we|they|he|she|my \w+|our \w+) (?P<be>\w+ing)\b"
    r"|\b(?:do|did|does|have|has|can|should|would|will|had) (?:i|you|we|they|he|she|my \w+"
    r"|our \w+|your \w+) (?:\w+ly |usually |always |often |ever )?(?P<verb>\w+)"
    r"|\b(?:i|he|she|you|(?<!is )(?<!was )(?<!are )my \w+) (?P<last>\w+)$"
)
SPENT_ZH = re.compile("中文名字?|英文名字?|名字|住址|地址|工作|上班|职业|生日|年龄|老家|家乡")
GAP = re.compile(r"(?:[ '-]|'s |\b(?:of|the|new|old)\b)*$|[的 最家]*$")
