"""Reading a message: if it asks for something that memory may hold, and which kind of answer it wants.

The examples of each language were written for this test, on both sides of the line.
"""

from __future__ import annotations

import pytest

from pagefault.retrieval.asking import Kind, read
from pagefault.retrieval.languages import languages
from pagefault.retrieval.query import understand

ASKS = {
    "en": """
        What did I name my boat?
        what's the name of my dentist again
        WHERE DID WE PARK THE CAR
        do you remember my sister's birthday
        Hey Jo, can you remind me when the rent is due? 🙏
        I'm back from the doctor. Which pills did she say I should take?
        Please recommend a film for tonight.
        Thanks! And what about the second one we looked at?
        tell me about the trip to Lisbon
        I forgot what the landlord wanted from us.
        Who won?!
        How was your weekend in the mountains?
        Any tips for a first marathon
    """,
    "de": """
        Wie heißt mein Zahnarzt?
        wann war nochmal der termin beim notar
        WAS HAT MEINE SCHWESTER GESAGT
        Erinnerst du dich an unser Gespräch über Hamburg?
        Kannst du mir bitte ein Buch empfehlen
        Könnten Sie mir sagen, wo der Schlüssel liegt?
        Ich weiß nicht mehr, wie das Café hieß.
        Erzähl mir von der Reise nach Wien!
        Zeig mir alle Rechnungen vom März
        Danke! Und welche Farbe hatte das Auto? 🚗
        Hat mein Bruder geantwortet?
        Ich suche ein Rezept ohne Milch.
    """,
    "zh": """
        我的牙医叫什么名字？
        我上次去杭州是什么时候
        你還記得我妹妹的生日嗎
        小王昨天说了什么
        請推薦一本小說
        帮我列出所有的会议
        谢谢！那第二家餐厅叫什么？
        我该怎么准备面试
        我忘了房东要什么
        能不能告诉我密码的提示🙏
        哪一家咖啡館比較安靜
        我的 deadline 是哪天
    """,
    "ja": """
        私の歯医者さんの名前は何ですか？
        次の会議はいつだっけ
        妹の誕生日を覚えていますか
        おすすめの映画を教えてください
        鍵をどこに置いたか忘れた
        昨日田中さんは何と言っていましたか
        すみません、住所を教えて 🙏
        来週の予定をまとめて
        なぜ引っ越したの？
        面接の準備はどうすればいいですか
        会議の内容を一覧にして
        パスワードのヒントは何だった？
    """,
}

ASKS_NOTHING = {
    "en": """
        How are you?
        Hey Jo! How's it going today? 😊
        I'm fine, thanks, and you?
        Guess what?
        You know what? I quit my job.
        What a lovely day!
        How nice!
        Thanks so much, that helps a lot.
        It was great, wasn't it?
        When I was young we had a dog.
        I painted the fence, which took all day.
        Really? Wow.
        Did some gardening today.
        OK!!! 👍
        Let me know if you need anything.
        My brother, who lives in Rome, called.
    """,
    "de": """
        Wie geht es dir?
        Hallo Jo, wie geht's?
        Mir geht es gut, und dir?
        Weißt du was?
        Wie schön!
        Vielen Dank, das hilft mir sehr.
        Das war ein toller Abend, oder?
        Ich habe gestern den Zaun gestrichen.
        Echt? Wahnsinn.
        ALLES KLAR 👍
        Wir haben die Rechnung bezahlt, was lange gedauert hat.
        Guten Morgen!
    """,
    "zh": """
        你好吗？
        最近怎麼樣？
        我很好，你呢？
        你知道吗？
        今天天气真好！
        謝謝你，幫了大忙。
        没什么特别的。
        真的吗？太好了。
        我昨天把篱笆刷了一遍。
        请记住我对花生过敏。
        好的👍
        我什么都没买。
    """,
    "ja": """
        お元気ですか？
        こんにちは、調子はどうですか？
        元気です。あなたは？
        本当ですか？すごい。
        今日はいい天気ですね。
        ありがとうございます！
        昨日は庭の手入れをしました。
        いつも朝に走ります。
        何も買わなかった。
        どうも👍
        映画を見て、泣いてしまいました。
        誰かが来たみたい。
    """,
}

KINDS: dict[Kind, str] = {
    "fact": """
        When did I move to Porto?
        Which restaurant did you recommend?
        How many cats do I have?
        How many days are there between the exam and the trip?
        Wann bin ich umgezogen?
        Welches Buch hast du mir empfohlen?
        我是什么时候搬家的？
        你推荐过哪家餐厅？
        引っ越したのはいつですか？
    """,
    "order": """
        In what order did I visit the cities?
        Walk me through the sequence of events after the accident.
        a timeline of the kitchen works
        What did I do first, and what came next?
        In welcher Reihenfolge habe ich die Städte besucht?
        Erzähl mir chronologisch, wie der Umbau verlief.
        按时间顺序说说我去过的城市
        我是先去北京還是先去上海，順序是什麼？
        訪れた街を時系列で教えてください
    """,
    "list": """
        List all the books I have read.
        Which countries have I been to?
        How many different jobs have I had?
        Nenne mir alle Bücher, die ich gelesen habe.
        Welche Länder habe ich schon besucht?
        列出我读过的书
        我去过哪些国家？
        読んだ本をすべて教えて
        これまでどんな国に行きましたか？
    """,
    "summary": """
        Summarize the project so far.
        Can you give me an overview of my training?
        How has my opinion of the flat changed over time?
        Fass bitte das Projekt zusammen.
        Wie hat sich mein Training entwickelt?
        总结一下这个项目
        我的訓練怎麼進展的？
        プロジェクトの概要をまとめて
        トレーニングはどのように変わりましたか？
    """,
    "advice": """
        What should I cook tonight?
        Can you recommend a hotel?
        Any tips for the interview?
        Write me a letter to the landlord.
        Was soll ich heute kochen?
        Kannst du mir ein Hotel empfehlen?
        Schreib mir einen Brief an den Vermieter.
        我今晚該怎麼做飯？
        推荐一家酒店
        今夜は何を作ればいい？
        おすすめのホテルはありますか？
    """,
}


def lines(texts: str) -> list[str]:
    return [line.strip() for line in texts.splitlines() if line.strip()]


@pytest.mark.parametrize("text", [text for code in ASKS for text in lines(ASKS[code])])
def test_a_question_or_a_request_asks(text: str) -> None:
    assert read(text).asks


@pytest.mark.parametrize("text", [text for code in ASKS_NOTHING for text in lines(ASKS_NOTHING[code])])
def test_statements_thanks_and_phrases_of_contact_ask_nothing(text: str) -> None:
    assert not read(text).asks


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind in KINDS for text in lines(KINDS[kind])])
def test_kinds_of_answer(kind: Kind, text: str) -> None:
    assert read(text).kind == kind
    assert understand(text).asking == read(text)


@pytest.mark.parametrize(
    "text", ["帮我 summarize 一下 the last meeting", "Kannst du das please summarize, danke"]
)
def test_a_sentence_in_two_languages_is_read_in_both(text: str) -> None:
    assert read(text).asks


def test_of_a_long_message_the_beginning_and_the_end_are_read() -> None:
    paste = "The fence was painted. " * 1000
    assert read(f"Where is the key? {paste}").asks
    assert read(f"{paste} Where is the key?").asks
    assert not read(paste).asks
    assert not read("").asks


def test_every_language_has_the_same_lists() -> None:
    assert {language.code for language in languages()} == set(ASKS) == set(ASKS_NOTHING)
    for language in languages():
        assert language.phrases.names == languages()[0].phrases.names, language.code
