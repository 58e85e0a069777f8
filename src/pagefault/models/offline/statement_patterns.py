"""Patterns of statements in English and Chinese: attributes given, names, subjects, what is worth noting.

Data for ``facts``, all but the ones said otherwise to be matched against folded text (``language.fold``).
It leaves out words for things (``lexicon.txt``) and how the patterns are put together.
"""

from __future__ import annotations

import re

NUMBER = re.compile(
    r"\d|[零一二两三四五六七八九十百千万]|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven"
    r"|twelve|dozen"
    r"|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
    r"|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
    r"|hundred|thousand|million|twice)\b"
)
TIME = re.compile(
    r"\b(?:january|february|march|april|june|july|august|september|october|november|december|may \d"
    r"|\d+ may|in may"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|half \w+|when i was"
    r"|when (?:it|we|the)|quarter (?:to|past)|tomorrow|next (?:week"
    r"|month|year)|last (?:week|month|year|night"
    r"|summer|winter|spring|autumn|fall)|years? ago|since i was"
    r"|months? ago|weeks? ago|days? ago|noon|midnight|\d{4}"
    r"|\d+(?::\d\d)? ?(?:am|pm)"
    r"|\d\d?:\d\d|o'clock|\d+(?:st|nd|rd|th)|morning|evening|christmas|easter|yesterday|summer|winter"
    r"|spring|autumn)\b"
    r"|[\d一二三四五六七八九十]+ ?(?:年|月|日|号|点)|周[一二三四五六日天末]|明天|后天|昨天|下周"
    r"|下个月|明年|去年|上周|上个月|春节|中秋|早上|晚上"
)
PAST = re.compile(
    r"\b(?:used? to|formerly|previously|lived|before|previous|former|old (?:job|home|place|flat)|no longer"
    r"|ex-|as a (?:child|kid)|when i was)\b|住过|小时候|以前|之前|曾经|原来|过去"
)
OCCUPATION = (
    r"(?:[\w-]+ ){0,3}?(?:nurse|midwife|mechanic|paramedic|surgeon|barista|dj|priest|chemist|secretary"
    r"|detective|poet|athlete"
    r"|diplomat|agent|musician|composer|lecturer|solicitor|plumber|chef|cook|pilot|clerk|guard|coach|vet"
    r"|judge|model|scientist|student"
    r"|accountant|assistant|guide"
    r"|(?!lover|vegetarian|pescatarian|christian|italian|brazilian|australian|norwegian|canadian|russian"
    r"|indian|persian"
    r"|hungarian|ukrainian|belgian|egyptian|austrian|human|number|member|beginner|sister|brother|mother"
    r"|father|daughter|computer|winter|summer"
    r"|monster|stranger|player"
    r"|user|owner|corner|letter|reader|matter|order|error|minor|runner|swimmer|drinker|eater|survivor"
    r"|night)[a-z]{3,}(?:er|or"
    r"|ist|ian|eer|ant|man|woman|wright|smith|tect|yst))\b"
)
ZH_OCCUPATION = (
    r"(?:老师|教师|工人|军人|医生|护士|律师|程序员|工程师|设计师|会计|记者|厨师|司机|警察|画家|翻译|教练|研究员"
    r"|学生|经理|编辑|摄影师|作家|销售"
    r"|公务员|建筑师|药剂师|飞行员|消防员|演员|歌手|农民|店员|快递员|理发师|导游|教授|分析师)"
)
DAY_NAME = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december|mon|tues"
    r"|wednes|thurs|fri|satur|sun)(?:day)?\b"
)
MOVED = (
    r"(?<!been )(?<!got )(?<!was )(?<!is )\bmov(?:e|ed|ing) (?:(?:back|out|away|house|over|again|here"
    r"|down|up|recently"
    r"|from [\w'-]+(?: [\w'-]+){0,2}?|last \w+|with \w+ \w+) )*(?:to|into|in)\b"
)
STATEMENTS = {
    "home": re.compile(
        r"\b(?:live|lives|(?<!for a )living|reside|resides|based|settled|staying)(?: [\w'-]+){0,3}? (?:in"
        r"|at|on|near|by|outside)\b"
        rf"|{MOVED}(?! (?:tears|\d|the \d|next|{DAY_NAME}))|\b(?:relocated?|emigrated|went out"
        rf"|retired) (?:[\w ]+ )?to\b|\b(?:home|house"
        rf"|flat|apartment|studio"
        rf"|new place|cottage|address|bungalow)"
        r"(?: is| 's|'s)? (?:now )?(?:in|at|on|near)\b|(?<!email )(?<!mail )\baddress is\b|\bhome is\b"
        r"|\bnow home\b|\b(?:i'm|we're|i am|we are) (?:\w+ )?in (?!a\b|the\b)[\w ]+ (?:now|these days)\b"
        r"|\bcall [\w ]+ home\b|\bwhere (?:i|we)(?: now)? live\b"
        r"|(?<!以前)(?<!之前)(?<!曾经)(?<!原来)住(?:在(?!.{1,3}[楼层])|的是)|住址|搬(?:到|去|来|回|进)"
        r"|家在|(?:家|房子|公寓)(?:就)?在|定居|住进"
    ),
    "past-home": re.compile(
        r"\bused to live\b|\bi lived\b|住过|\bmov(?:ed|ing),? (?:[\w ]+ )?from\b|\bleft [\w ]+ for\b"
        r"|(?:以前|之前|曾经"
        r"|原来)(?:是)?住|从.{1,8}搬"
    ),
    "job": re.compile(
        r"\bwork(?:s|ed|ing)? (?:(?:part|full|now|there|remotely|nights?|mostly"
        r"|currently)[ -](?:time )?)*(?:at|for|as)\b|\bwork(?:s|ing)? in (?!progress)"
        r"|\b(?:my|new|his|her|day) (?:job|profession|occupation|trade|career)\b|\bemployed\b"
        r"|\bfor a living\b|\bby (?:trade|profession)\b"
        rf"|\b(?:am|'m|is|'s|was|became|become|as|being) (?:now )?(?:an? |the )?(?:self-employed|retired"
        rf"|unemployed|freelanc\w+)\b|\b(?:i'm|am|is|'s|was|used to be|became|become|work as|job as"
        rf"|trained as) (?:now )?(?:an?|the) {OCCUPATION}"
        r"|\b(?:is|was|am|became) (?:head\w*|president|treasurer|captain|director|manager|chair\w*"
        r"|editor) (?:of|at)\b"
        r"|\b(?:freelanc\w+|volunteer\w*|report\w*) for\b|\bi do [\w ]+ (?:at|for) (?:an?|the)\b"
        r"|\b(?:teach|teaches|run|runs|running|manage|manages|own|owns) (?:an?|the"
        r"|my|her|his"
        r"|[a-z]+ (?:at|in)) [\w ]*(?:school|shop|store|bakery|caf[eé]|restaurant|company|farm|studio"
        r"|class|kids|college|university|team|bar|hotel|business|bookshop|clinic|pharmacy|practice|garage"
        r"|salon|pub|stall|workshop|vineyard)\b"
        r"|\bteach(?:es)? \w+|\bstart(?:ed|ing) as an?\b"
        r"|\bjoined [\w ]+ as\b|\b(?:got|started|took|accepted|found|landed) (?:an?|the"
        r"|my|a new) (?:new )?(?:job|position|role)\b|\bpromoted\b"
        rf"|(?:(?<!现)(?<!正)在|到|去)(?:(?![骑坐走]).){{1,14}}(?:工作|上班|任职|就职|教书|当)|打工的地方|职业是|工作是|跳槽"
        rf"|换(?:了)?工作|(?:是(?![^男女名](?:老师|医生|律师|经理|教练|教授)(?:$|[，。]))"
        rf"|当|做)(?:了)?(?:一)?(?:名|个"
        rf"|位)?.{{0,6}}{ZH_OCCUPATION}|退休|开(?:出租|公交|货车|滴滴|网约车|了?一?家|餐馆|饭店|店|公司|诊所)"
        rf"|\bdrives? (?:an? )?(?:taxi|bus|truck|lorry|tram|train|cab|van)(?:e?s)?\b"
        rf"|(?:是|当)(?:了)?一?(?:个|名|位).{{0,6}}?(?:匠|师|员|生|工|兵|手|画家|作家|学家|商人"
        rf"|警察)(?:$|[，。])"
    ),
    "age": re.compile(
        r"\b(?:\d{1,3}|[a-z]+(?:-[a-z]+)?)[ -]years?[ -]old\b|\bi(?:'?m| am) [\w]+(?: [\w]+)?, \d\d\b"
        r"|\b(?:i'm|i am|turned|turns|turning|turn) (?:only |already |now |just )?(?:\d{1,3}|(?:twen|thir"
        r"|for|fif|six|seven|eigh|nine)ty(?:-\w+)?|\w+teen)\b(?=$|[.,;!](?!\d)| (?:now|and|this|next|in"
        r"|last|on"
        r"|today|tomorrow|soon)\b)"
        r"|[\d一二三四五六七八九十两]+岁|今年[\d一二三四五六七八九十]{2,3}(?:了|$|[，。])"
    ),
    "birthday": re.compile(
        r"\b(?:birthday|bday)(?: is|'s| was| falls)\b|\bborn (?:in \w+ )?(?:on|in) (?:the )?(?:\d|january"
        r"|february"
        r"|march|april|may|june|july|august|september|october|november|december)"
        rf"|\b(?:(?:shall|will|i'll) be|turn|turns|turning|turned) [\w-]+ (?:in|on|this"
        rf"|next) (?:the )?(?:{DAY_NAME}|\d)"
        r"|生日(?:是|在)|[\d一二三四五六七八九十]+(?:日|号)(?:出生|生的|生日)|(?:出生|生)(?:于"
        r"|在)?[\d一二三四五六七八九十]+[年月]"
    ),
    "origin": re.compile(
        r"\b(?:i'm|i am|come|comes|is|was|originally|are) (?:originally )?from\b"
        r"|\bi(?:'m| am) [\w' -]+, from\b"
        r"|\bborn (?:and raised )?in (?!\d|january|february|march|april|may|june|july|august|september"
        r"|october|november|december)"
        r"|\b(?:grew up|raised) (?:in|on|near)\b|\bhome ?town\b|\bnative of\b|来自|老家|家乡|故乡"
        r"|\bborn (?:on|in) [\w ,]*\d,? in \w|出生(?:在|于)(?!\d)"
        r"|长大|是.{1,4}(?<![工商军诗猎病])人(?:$|[，。,.!！])"
    ),
}
BARE_AGE = re.compile(r"(?:今年|已经|刚|才)*[\d一二三四五六七八九十两]+岁")
IS_AGED = re.compile(
    r"(?: is|'s| are|'re| just turned| turned| turns| has turned) (?:only |already |now "
    r"|just )?(?:\d{1,2}|[a-z]+(?:teen|ty)|(?:twen|thir|for"
    r"|fif)ty-\w+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(?=$|[.,;!]| now| and)"
)
NAME = re.compile(
    r"\b(?:is|are|was|were|been|got) (?:called|named|nicknamed)\b|\bnames?(?:'s| is| are| was|:)"
    r"|\bgo(?:es)? by (?!bus|train|car|bike|tram|plane|foot)"
    r"|\banswers to\b|\b(?:call|called|named) (?:me|him|her|it|them|us)\b"
    r"|\bby the name of\b"
    r"|(?:名字(?:是|叫)|名叫|取名|起名|姓(?!名)|(?<!我)是(?=[^男女名]{1,2}(?:老师|医生|先生|女士|大夫|师傅|教练)(?:$|[，。]))|叫(?!醒|外卖|车|停|声|了|我去|我来|我们|他去|她去|好|苦"
    r"|作业))"
)
QUALIFIED_NAME = re.compile(
    r"\b(?:nick|middle|maiden|stage|last|family|second|user|chinese|english|sur|pen)[ -]?name"
    r"|(?:中文|英文|小|昵|笔|网|艺|曾用|用户)名"
)
NAMED = re.compile(
    r"\b(?:called|named|nicknamed|christened) (?:my |our |the )?(?:\w+ )?[\"'“‘]?[A-ZÀ-Ý][\w'-]+"
)
APPOSED = re.compile(
    r"\b[Mm]y (?P<kin>(?:[\w-]+ )?(?!is\b|was\b)[a-z-]+|GP)(?: (?:from|at|in) [\w-]+)?"
    r"(?:,| is| -)? [A-ZÀ-Ý][\w'-]+"
    r"|\b[A-ZÀ-Ý][\w'-]+ is my (?P<kin2>(?:[\w-]+ )?[a-z-]+)\b"
    r"|\b[A-ZÀ-Ý][\w'-]+, (?:my|our) (?P<kin3>(?:[\w-]+ )?[a-z-]+)\b"
    r"|\b(?P<kin4>(?:(?:older|elder|big|younger|little|best) )?[a-z]+)(?:,"
    r"|:) [A-ZÀ-Ý][\w'-]+(?:,| and|\.|$)"
)
ALIAS = re.compile(
    r"\b(?:[Mm]y|[Oo]ur|an?) (?P<kin>[a-z-]+(?: [a-z-]+)?)(?:'s name is|,? (?:is )?(?:named|called)|,)? "
    r"(?P<name>[A-ZÀ-Ý][\w-]+)"
    r"|(?:[Nn]amed|[Cc]alled) (?:the|our|my) (?P<kin2>[a-z]+) (?P<name2>[A-ZÀ-Ý][\w-]+)"
)  # not folded
I_AM = re.compile(
    r"\b(?:[Ii]'?m|I am|[Tt]his is) (?!\w+days?\b)[A-ZÀ-Ý][\w'-]+(?: [A-ZÀ-Ý][\w'-]+){0,2}"
    r"(?= here|[,.!;]| and\b|$)|^(?:Hi|Hello|Hey|It's)[,!]? [A-Z][a-z]+ here"
)
FULL_NAME = re.compile(r"\b(?:[Nn]ame(?:'s| is)|I'm|I am|[Cc]alled) [A-ZÀ-Ý][\w'-]+ [A-ZÀ-Ý]")
IMPLIED = (
    (
        re.compile(
            r"\b(?:go|goes|going|went|heading|headed|off) to (?!the\b|University|College)(?:[a-z]+ )?[A-ZÀ-Ý]"
        ),
        frozenset({"#trip"}),
    ),
    (
        re.compile(r"\b(?:[Ss]tud(?:y|ied|ying) (?:[\w ]+ )?at|[Gg]raduated from|degree from) [A-ZÀ-Ý]"),
        frozenset({"#university", "go"}),
    ),
    (
        re.compile(
            r"\b(?:[Ww]alk|[Cc]ycle|[Dd]rive|[Rr]ide|[Tt]ake|[Rr]un|[Cc]ommute)\b.* to (?:work|the office)\b"
            r"|[骑坐乘搭开走步].{1,8}(?:上班|去公司)"
        ),
        frozenset({"#commute"}),
    ),
)  # what is said without its words; not folded
SUBJECT = re.compile(
    r"\b(?P<mine>my|our|your)\b|\b(?P<self>i|we|you|me)\b|\b(?P<third>who|whose|he|she|it|they|his|her|its"
    r"|their|him|them)\b"
    r"|(?P<zhmine>[我你](?:们)?)|(?P<zhthird>[他她它])"
)
ZH_NAME_SUBJECT = re.compile(
    r"(?!.{0,2}[我你他她它咱们这那有今昨明])(?!现在|最近|刚|周|大家|早上"
    r"|晚上)([\u4e00-\u9fff]{2,3}?)(?:现在|目前)?"
    r"(?:毕业|搬|换了|结婚|辞职|住在|在(?!家)|是|去了|生了)"
)
SO_NAMED = re.compile(r",? ([A-ZÀ-Ý][\w-]+)|([\u4e00-\u9fff]{2,3}?)(?=是|在|住|有|做|喜欢|从)")
UNNAMED = re.compile(
    r"(?:(?:今天|昨天|昨晚|刚才|刚刚|最近|听说|早上|晚上)*(?P<around>楼[上下]|街|路[上边]|外面|附近|隔壁"
    r"|公园|网上|门口|新闻|电视|广场"
    r"|超市|湖边|小区|新公司|地铁|听说|那家|有(?:个|人|一)))|(?:(?P<thing>the|this|that|these|it's)"
    r"|somebody|someone|people|everyone|everybody|another|one of"
    r"|some|there|an?)\b"
)
ZH_BETWEEN = re.compile(
    r"(?:家|最好|最要好|唯一)?(?:的[^在给和跟是有叫比被让把对，]{0,2}?)?(?:大|小|二|老|亲|好)?$"
)
NAME_SUBJECT = re.compile(
    r"^(?:(?:and|but|so|oh|also|now|then|[Aa]ctually|[Ss]orry|[Cc]orrection|[Uu]pdate)[,:]? )*"
    r"(?!Been |Got |Had |Just |Never |Went |Lost |Met |Still |\w+ly |Today |Works? |Home )"
    r"([A-ZÀ-Ý][\w-]+)(?: [A-ZÀ-Ý][\w-]+)?(?:'s \w+)? (?:has |just |also |still |is |was )?"
    r"(?:is|was|has|had|will|can|quit|left|became|began|went|got|bought|sold|\w+[a-z]s|\w+ed|\w+ing|an?"
    r"|on|in|at|\d+)\b(?![:,])"
)
ELLIPTIC = re.compile(
    r"(?:(?:and|but|so|oh|also|ok|well|just|finally|recently|still|only),? )*(?:got|been|moved|never"
    r"|started|bought|had|went|used to|born|grew|lost|met|quit|left|trying|can't|don't|didn't|work"
    r"|working|living|married|turned|allergic|learning|studied|thinking)\b"
)
QUESTION_EN = re.compile(
    r"^(?:please )?(?:tell|give|remind) me (?:the|my|our) (?!truth)|^(?:my|our|the) [\w' -]+ please[.!]?$"
    r"|^any idea (?:wh|how)"
    r"|"
    r"^(?:(?:and|so|but|hey|hi|hello|ok|okay|well|now|by the way|btw|oh|um|also|sorry|please"
    r"|quick question|one more thing|just curious"
    r"|let's see|tell me|remind me)[,:! ]+)*(?:(?:what|where|who|whom|whose|which|when|why|how)(?:'s|'re"
    r"|'d| |$)|(?:do|does|did|am|is|are|was|were|have|has|can|could|would|will|should)"
    r"(?:n't)? (?:i|you|my|we|he|she|it|they|your|the|any|there)\b)|\b(?:tell"
    r"|remind) me (?:again )?(?:what|where|who|when|how|which|whether|if|about my|my)\b"
    r"|^(?:can|could|do|would) you (?:still )?(?:tell|recall|remember|remind)\b|^(?:name|list) (?:my|all"
    r"|the)\b|\bdo you remember\b"
)
QUESTION_ZH = re.compile(
    r"[吗呢]$|(?:什么|哪(?:里|儿|个|些|家|种|座|位|一|年|天)|谁|多少|几(?:岁|个|只|点|号|月|口|次|楼|年)"
    r"|多大|多高|多重|多久|怎么(?!也|都|样的)|为什么"
    r"|是不是|有没有|会不会|能不能|记不记得|在哪)"
)
NOT_QUESTION_ZH = re.compile(
    r"没(?:有)?什么|不知道|问[我他她]|可能|也许|大概是|好奇|什么的|什么都|谁都|哪(?:里|儿)都|不管|无论"
    r"|多少(?:有点|都)|怎么也|好几|几个月|不怎么"
)
PRONOUN = re.compile(r"^(?:and |but |so )*(?:he|she|it|they|his|her|its|their|that|this one)\b|^[他她它]")
FIRST_PERSON = re.compile(r"\b(?:i|i'm|i've|i'd|i'll|my|we|our|we're|me)\b|[我咱]")
KEYED = re.compile(
    r"\b(?:code|password|passcode|passphrase|pin|combination|combo|plate|extension|account|ticket|flight"
    r"|number|secret word)\b.*\b(?:is|are|was|ends|has|changed)\b.*\S|(?:密码|号码|暗号|车牌|房号"
    r"|门牌).*[是为改]"
    r"|(?:老师|房东|医生|老板|经理|教练|同事)姓"
)
WORTH = re.compile(
    r"\b(?:remember|don't forget|note that|keep in mind|for the record|actually|correction|i meant)\b"
    r"|\b(?:my|our) [\w' -]{2,40}?(?: is| are|'s| was| were| has| will|reads|ends|got|runs)\b"
    r"|\b(?:i|we)(?:'ve|'m|'d| am| have)?(?: \w+ly| also| just| only| always| never| usually| still"
    r"| now)? (?:have (?!never|ever|been|no|not|to|just|already|\w+ed\b)|own|got (?:an?|my|two|three"
    r"|married|engaged|promoted)|adopted|bought (?:an?|the|our|my) (?:\w+ )*?(?:house|flat|car|bike"
    r"|bicycle|home"
    r"|apartment|boat|guitar|piano|laptop|phone|camera|motorbike|\w+ \w+ bicycle)|play|speak|stud(?:y|ied"
    r"|ying)"
    r"|collect|collecting|drive|wear|married|hate|love|like|enjoy|prefer|adore|can't stand|quit|joined"
    r"|started|work|was born|graduated|allergic|afraid|terrified"
    r"|learning|practi[sc]ing|engaged|named|called|grew|support|volunteer|broke|sold|keep|met|take|rent"
    r"|signed|booked|planning|training|saving|vegetarian|vegan|left-handed"
    r"|colour-blind|(?:can|can't|cannot) (?:eat|drink|speak|swim|drive|play|stand)|promised|reading"
    r"|scared|would love"
    r"|see (?:my|an?)|don't (?:eat|drink|smoke|drive)|gave up|sleep|usually|go to|eat|drink|run|swim"
    r"|cycle|sing|write|wrote|paint|bake|teach|moved|live|switched|changed"
    r"|finished|owe|lent|borrowed)\b"
    r"|\b(?:i'm|i am) (?:an?|from|allergic|\d)|\ballergic\b|\bfavou?rite\b"
    r"|[我咱].{0,14}?(?:叫|是|住|搬|有|养|喜欢|最爱|爱|讨厌|过敏|学|会(?:说|弹|做|拉)|卖|开的|属|打算"
    r"|计划|结婚|生日|工作|上班|毕业|换|不吃|不喝|每天|每周|每年|周[一二三四五六日天末]|去年|上个月"
    r"|买了(?!一?[个杯份碗块瓶])"
    r"|岁|怕|养了|订了|参加|收藏|收集|弹|拉|欠|借|戒)"
    r"|记住|记得|记一下|别忘|密码|号码|最喜欢|改成|不是.*是|过敏"
)
PERSON = re.compile(
    r"\b(?:Mrs?|Ms|Dr|Senhora?)\.? [A-Z]|(?<=[\w,] )[A-ZÀ-Ý][a-zà-ÿ]+|[姓叫]|先生|女士"
    r"|小姐|师傅"
)  # not folded
PASSING = re.compile(
    r"^(?:well,? |so,? |oh,? |anyway,? )*(?:i|i'm|i am|we) (?:just )?(?:think|guess|feel|hope|suppose"
    r"|wonder|tired|fine|good|back|sorry|sure|happy|glad|off|about to|mean|see|agree"
    r"|know|exhausted|hungry|sleepy|bored|ok|okay|forgot|forget|need|should|couldn't|can't believe)\b"
    r"|\b(?:right now|just now|this morning|tonight)\b|^我(?:看|想|猜|觉得|排队)|刚才|刚刚|好累|好困|好饿"
    r"|觉得|感觉|哈哈|今天|今晚|今早"
)
IS = re.compile(
    r"\b(?:the (?P<of>[\w'-]+(?: [\w'-]+)?) (?:of|for|at|to|in) (?:my|our) [\w' ]+?"
    r"|(?:my|our) (?P<what>[\w'-]+(?: [\w'-]+){0,3}?)(?: (?:at|in|of|for|on|to) [\w' ]+?)?)"
    r" (?:is|are|was|has changed|changed|went up|ends)\b"
    r"|我(?:们)?(?:家)?的?(?P<zh>[^，。是在叫的]{1,8}?)(?:是|涨到|降到|改到|改成|换成|变成|推迟到"
    r"|现在停在|停在)"
)
