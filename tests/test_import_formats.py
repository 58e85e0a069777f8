"""The formats of imports: what is taken of each, as what, and what is left out by name.

The importers are read alone, without an agent. Left out: storing (``test_importing``) and hostile files
(``test_import_hostile``).
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from import_samples import (
    START,
    at,
    discord_message,
    dumped,
    mail,
    node,
    slack_message,
    talk,
    telegram_message,
    text,
    turn,
    zipped,
)
from pagefault.importers import (
    BadRecord,
    ImportedDocument,
    ImportedMessage,
    ImportedPassage,
    ImportItem,
    ImportOptions,
    Omission,
    Remark,
)
from pagefault.importers.day_order import order_of
from pagefault.importers.kinds import importer_of
from pagefault.importers.sources import open_source

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def read(path: Path, kind: str, *, me: str = "", zone: str = "UTC") -> list[ImportItem]:
    """The items of a file that is recognised as of this kind."""
    source = open_source(path)
    try:
        found, importer = importer_of(source, None)
        assert found == kind
        return list(importer.read(source, ImportOptions(NOW, ZoneInfo(zone), me)))
    finally:
        source.close()


def said(items: list[ImportItem]) -> list[tuple[str, str, str]]:
    return [(each.role, each.speaker, each.text) for each in items if isinstance(each, ImportedMessage)]


def omitted(items: list[ImportItem]) -> Counter[tuple[str, str]]:
    found = Counter[tuple[str, str]]()
    for each in items:
        if isinstance(each, Omission):
            found[each.kind, each.name] += each.count
    return found


def bad(items: list[ImportItem]) -> list[BadRecord]:
    return [each for each in items if isinstance(each, BadRecord)]


# ChatGPT


def test_chatgpt_is_read_along_the_branch_that_it_ends_with(tmp_path: Path) -> None:
    nodes = [
        {"id": "root", "parent": None, "children": ["s"], "message": None},
        node("s", "root", "system", ""),
        node("u", "s", "user", "Who was Bruno?", time=START.timestamp()),
        node("old", "u", "assistant", "An answer that was regenerated."),
        node("a", "u", "assistant", "Your dog.", time=at(1).timestamp()),
    ]
    items = read(dumped(tmp_path / "conversations.json", [talk(*nodes)]), "chatgpt")
    assert said(items) == [("user", "", "Who was Bruno?"), ("assistant", "", "Your dog.")]
    first, second = (each for each in items if isinstance(each, ImportedMessage))
    assert (first.session, first.id, first.at, second.at) == ("c1", "u", START, at(1))
    assert omitted(items) == {("message on another branch", "Honey"): 1}


def test_chatgpt_without_a_current_node_ends_with_the_newest_leaf(tmp_path: Path) -> None:
    nodes = [node("u", None, "user", "Hi", time=1e9), node("a", "u", "assistant", "Ho", time=1e9 + 1)]
    chat = talk(*nodes) | {"current_node": "gone"}
    assert [each[2] for each in said(read(dumped(tmp_path / "c.json", [chat]), "chatgpt"))] == ["Hi", "Ho"]


@pytest.mark.parametrize("undated", [None, 1e300, "x"])
def test_chatgpt_ends_with_a_leaf_that_has_no_date_of_its_own(undated: Any, tmp_path: Path) -> None:
    nodes = [
        node("u", None, "user", "Hi", time=START.timestamp()),
        node("old", "u", "assistant", "Old", time=START.timestamp() + 1),
        node("again", "u", "user", "So?", time=START.timestamp() + 2),
        node("new", "again", "assistant", "New", time=undated),
    ]
    value = talk(*nodes, current="gone")
    items = read(dumped(tmp_path / "conversations.json", [value]), "chatgpt")
    assert [each[2] for each in said(items)] == ["Hi", "So?", "New"]


def test_chatgpt_leaves_out_what_is_hidden_thought_and_called(tmp_path: Path) -> None:
    hidden: dict[str, Any] = {"metadata": {"is_visually_hidden_from_conversation": True}}
    thought: dict[str, Any] = {"content": {"content_type": "thoughts", "thoughts": [{"content": "hm"}]}}
    context: dict[str, Any] = {
        "content": {"content_type": "user_editable_context", "user_profile": "A beekeeper."}
    }
    nodes = [
        node("h", None, "user", "never shown", **hidden),
        node("x", "h", "user", **context),
        node("u", "x", "user", "Look it up."),
        node("t", "u", "assistant", **thought),
        node("c", "t", "assistant", "search('honey')", recipient="web"),
        node("r", "c", "tool", "a page of honey", author={"role": "tool", "name": "web"}),
        node("a", "r", "assistant", "It is sweet."),
    ]
    items = read(dumped(tmp_path / "conversations.json", [talk(*nodes)]), "chatgpt")
    assert [each[2] for each in said(items)] == ["Look it up.", "It is sweet."]
    assert omitted(items) == {
        ("custom instructions", ""): 1, ("thought", ""): 1, ("tool call", "web"): 1,
        ("tool message", "web"): 1,
    }  # fmt: skip


def test_chatgpt_names_attachments_and_reads_transcripts(tmp_path: Path) -> None:
    parts = [
        {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"},
        {"content_type": "audio_transcription", "text": "What breed is he?"},
    ]
    content: dict[str, Any] = {"content_type": "multimodal_text", "parts": parts}
    attached: dict[str, Any] = {"metadata": {"attachments": [{"id": "f", "name": "dog.pdf"}]}}
    items = read(
        dumped(tmp_path / "c.json", [talk(node("u", None, "user", content=content, **attached))]), "chatgpt"
    )
    assert said(items) == [("user", "", "What breed is he?\n(attached: image, dog.pdf)")]
    assert omitted(items) == {("attachment", "image"): 1, ("attachment", "dog.pdf"): 1}


@pytest.mark.parametrize("has_mark", [False, True])
def test_chatgpt_is_read_from_files_of_one_conversation_each(has_mark: bool, tmp_path: Path) -> None:
    mark = "\ufeff" if has_mark else ""
    for id in ("c1", "c2"):
        chat = talk(node("u", None, "user", f"Hi {id}"), node("a", "u", "assistant", "Ho"), id=id)
        (tmp_path / "chats").mkdir(exist_ok=True)
        (tmp_path / "chats" / f"{id}.json").write_text(mark + json.dumps(chat), "utf-8")
    dumped(tmp_path / "chats" / "zoo.json", {"mapping": {"a": 1}})
    one = read(tmp_path / "chats" / "c1.json", "chatgpt")
    assert said(one) == [("user", "", "Hi c1"), ("assistant", "", "Ho")]
    every = read(tmp_path / "chats", "chatgpt")
    assert [each[2] for each in said(every)] == ["Hi c1", "Ho", "Hi c2", "Ho"]
    assert [each.session for each in every if isinstance(each, ImportedMessage)] == ["c1", "c1", "c2", "c2"]
    assert omitted(every) == {("file", "zoo.json"): 1}


# Claude


def test_claude_gives_messages_documents_and_memory(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    attached: dict[str, Any] = {
        "attachments": [{"file_name": "vet.txt", "extracted_content": "Vet on Friday."}],
        "files": [{"file_name": "dog.png"}],
    }
    answer: list[Any] = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "Noted."},
        {"type": "tool_use", "name": "web_search", "input": {}},
        {"type": "tool_result", "content": []},
    ]
    turns = [turn("m1", "human", "See this.", **attached), turn("m2", "assistant", "old", 1, content=answer)]
    talks = [{"uuid": "t", "name": "Vet", "created_at": START.isoformat(), "chat_messages": turns}]
    dumped(folder / "conversations.json", talks)
    docs = [{"uuid": "d", "filename": "hives.md", "content": "# Hives"}]
    project = {"uuid": "p", "name": "Bees", "description": "", "prompt_template": "Be brief.", "docs": docs}
    dumped(folder / "projects.json", [project])
    dumped(folder / "memories.json", [{"conversations_memory": "Ana keeps bees.", "account_uuid": "u"}])
    dumped(folder / "users.json", [{"uuid": "u", "email_address": "ana@example.org"}])
    items = read(zipped(tmp_path / "export.zip", folder), "claude")
    assert said(items) == [
        ("user", "", "See this.\n(attached: vet.txt, dog.png)"), ("assistant", "", "Noted.")
    ]  # fmt: skip
    documents = {each.title: each.data for each in items if isinstance(each, ImportedDocument)}
    assert documents == {"vet.txt": b"Vet on Friday.", "hives.md": b"# Hives"}
    passages = {(each.text, each.tags) for each in items if isinstance(each, ImportedPassage)}
    assert passages == {("Ana keeps bees.", ("memory",)), ("Project Bees: Be brief.", ("project",))}
    assert omitted(items) == {
        ("attachment", "dog.png"): 1, ("thought", ""): 1, ("tool call", "web_search"): 1,
        ("tool result", ""): 1, ("file", "users.json"): 1,
    }  # fmt: skip
    assert "example.org" not in repr(items)


def test_claude_keeps_what_was_spoken(tmp_path: Path) -> None:
    spoken = [
        {"type": "voice_note", "title": None, "text": "My dog is called Bruno."},
        {"type": "token_budget"},
    ]
    talk = {"uuid": "t", "name": "Dog", "chat_messages": [turn("m1", "human", "", content=spoken)]}
    items = read(dumped(tmp_path / "talk.json", talk), "claude")
    assert said(items) == [("user", "", "My dog is called Bruno.")]
    assert omitted(items) == {("token_budget", ""): 1}


def test_claude_is_read_along_the_branch_that_it_ends_with(tmp_path: Path) -> None:
    turns = [
        turn("m1", "human", "Hi", parent_message_uuid="0"),
        turn("m2", "assistant", "First answer.", parent_message_uuid="m1"),
        turn("m3", "assistant", "Second answer.", parent_message_uuid="m1"),
    ]
    path = dumped(tmp_path / "c.json", [{"uuid": "t", "name": "N", "chat_messages": turns}])
    items = read(path, "claude")
    assert [each[2] for each in said(items)] == ["Hi", "Second answer."]
    assert omitted(items) == {("message on another branch", "N"): 1}


# Telegram


def test_telegram_joins_pieces_and_names_what_was_sent(tmp_path: Path) -> None:
    messages = [
        telegram_message(1, text=["My dog is called ", {"type": "bold", "text": "Bruno"}, "."]),
        telegram_message(2, text="", file="(File not included)", file_name="bees.pdf", media_type="file"),
        telegram_message(3, text="", photo="photos/p.jpg"),
        telegram_message(4, text="Read this", forwarded_from="Cleo"),
        {"id": 5, "type": "service", "action": "phone_call", "text": ""},
        telegram_message(6, text="", media_type="sticker", sticker_emoji="🐝"),
        {"type": "message"},
        telegram_message(8, text="", poll={"question": "Where to?", "answers": [{"text": "Porto"}]}),
        telegram_message(9, text="", contact_information={"first_name": "Zoë", "last_name": 7}),
        telegram_message(10, text="", location_information={"latitude": 1.5}),
    ]
    path = dumped(
        tmp_path / "result.json", {"name": "B", "type": "personal_chat", "id": 1, "messages": messages}
    )
    items = read(path, "telegram")
    assert [each[2] for each in said(items)] == [
        "My dog is called Bruno.", "(attached: bees.pdf)", "(attached: p.jpg)",
        "Read this\n(forwarded from Cleo)", "(attached: sticker 🐝)",
        "(attached: poll: Where to?)", "(attached: contact: Zoë 7)", "(attached: location)",
    ]  # fmt: skip
    assert omitted(items)["service message", ""] == 1
    assert [each.where for each in bad(items)] == ["message 7 of B"]


def test_telegram_reads_all_chats_each_for_itself(tmp_path: Path) -> None:
    chats = [
        {"name": "Bo", "type": "personal_chat", "id": 1, "messages": [telegram_message(1)]},
        {"type": "saved_messages", "id": 2, "messages": [telegram_message(1, "Ana")]},
    ]
    path = dumped(
        tmp_path / "result.json", {"about": "", "chats": {"list": chats}, "left_chats": {"list": []}}
    )
    messages = [each for each in read(path, "telegram") if isinstance(each, ImportedMessage)]
    assert [(each.session, each.id, each.speaker) for each in messages] == [
        ("1", "1", "Bo"),
        ("2", "1", "Ana"),
    ]


# WhatsApp


def whatsapp(tmp_path: Path, content: str, name: str = "WhatsApp Chat with Bo.txt") -> list[ImportItem]:
    path = tmp_path / name
    path.write_text(content, "utf-8")
    return read(path, "whatsapp")


def dates(items: list[ImportItem]) -> list[str]:
    return [f"{each.at:%Y-%m-%d %H:%M}" for each in items if isinstance(each, ImportedMessage) and each.at]


def test_whatsapp_of_android_with_notices_attachments_and_long_messages(tmp_path: Path) -> None:
    items = whatsapp(
        tmp_path,
        "15/01/2025, 10:29 - Messages and calls are end-to-end encrypted.\n"
        "15/01/2025, 10:30 - Ana: My dog is called Bruno.\n"
        "He is a water dog: a big one.\n"
        "\n"
        "Really.\n"
        "15/01/2025, 10:31 - Bo: <Media omitted>\n"
        "15/01/2025, 10:32 - Bo: IMG-1.jpg (file attached)\nLook!\n"
        '15/01/2025, 10:33 - Ana changed the subject to "Dogs: all"\n'
        "15/01/2025, 10:34 - Bo: This message was deleted\n",
    )
    assert said(items) == [
        ("other", "Ana", "My dog is called Bruno.\nHe is a water dog: a big one.\n\nReally."),
        ("other", "Bo", "(attached: Media omitted)"),
        ("other", "Bo", "Look!\n(attached: IMG-1.jpg)"),
    ]
    assert omitted(items)["notice", ""] == 3


def test_whatsapp_of_ios_with_marks_of_direction(tmp_path: Path) -> None:
    items = whatsapp(
        tmp_path,
        "\u200e[15.01.25, 10:30:00] Bees: \u200eMessages and calls are end-to-end encrypted.\n"
        "[15.01.25, 10:30:12] ~\u202fAna: My dog is called Bruno. \u200e<This message was edited>\n"
        "\u200e[15.01.25, 10:31:00] Bo: \u200e<attached: 0001-PHOTO.jpg>\n"
        "\u200e[15.01.25, 10:31:30] Bo: \u200eimage omitted\n",
        "_chat.txt",
    )
    assert [each[1:] for each in said(items)] == [
        ("Ana", "My dog is called Bruno."),
        ("Bo", "(attached: 0001-PHOTO.jpg)"),
        ("Bo", "(attached: image omitted)"),
    ]
    assert dates(items)[0] == "2025-01-15 10:30"


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (["13/2/24, 10:00 - Bo: a"], "2024-02-13 10:00"),
        (["2/13/24, 10:00 PM - Bo: a"], "2024-02-13 22:00"),
        (["2/1/24, 12:05\u202fAM - Bo: a"], "2024-02-01 00:05"),  # the clock is American
        (["2/1/24, 10:00 - Bo: a"], "2024-01-02 10:00"),  # nothing tells
        (["2/1/24, 10:00 - Bo: a", "3/1/24, 10:00 - Bo: b"], "2024-01-02 10:00"),  # a day later, not a month
        (["1/2/24, 10:00 - Bo: a", "1/3/24, 10:00 - Bo: b"], "2024-01-02 10:00"),
        (["2024/2/1, 10:00 - Bo: a"], "2024-02-01 10:00"),
        (["2024-02-01 10:00 - Bo: a"], "2024-02-01 10:00"),
        (["[2024/2/1 下午3:05:06] Bo: a"], "2024-02-01 15:05"),
        (["12/1/25, 22:00 - Bo: a", "1/2/26, 22:00 - Bo: b"], "2025-12-01 22:00"),  # time goes forward
        (["1.2.24, 10:00 - Bo: a", "14.2.24, 10:00 - Bo: b"], "2024-02-01 10:00"),
        (["13.2.2024 klo 9.05 - Bo: a"], "2024-02-13 09:05"),
        (["13/2/24, 10:00 μ.μ. - Bo: a"], "2024-02-13 22:00"),
        (["13/2/24, 12:05 π.μ. - Bo: a"], "2024-02-13 00:05"),
        (["13/2/24, 10:00 CH - Bo: a"], "2024-02-13 22:00"),
        (["13/2/24, 10:00 SA - Bo: a"], "2024-02-13 10:00"),
        (["[2024/2/13 晚上9:00:00] Bo: a"], "2024-02-13 21:00"),
        (["13/2/2567 22:00 - Bo: a"], "2024-02-13 22:00"),  # years of Buddha's era
    ],
)
def test_whatsapp_dates_are_read_in_the_order_that_fits_the_file(
    lines: list[str], wanted: str, tmp_path: Path
) -> None:
    assert dates(whatsapp(tmp_path, "\n".join(lines)))[0] == wanted


@pytest.mark.parametrize(
    "header",
    [
        "15/01/2025, 14:30 - Zoë",
        "1/15/25, 2:30\u202fPM - Zoë",
        "15.01.25, 14.30 - Zoë",
        "2025-01-15 14:30 - Zoë",
        "2025. 01. 15. 14:30 - Zoë",
        "[2025. 1. 15. 오후 2:30:00] Zoë",
        "2025년 1월 15일 오후 2:30 - Zoë",
        "2025年1月15日 下午2:30 - Zoë",
        "[2025/1/15 下午2:30:00] Zoë",
        "15/01/25, 2:30 अपराह्न - Zoë",
        "15.01.25 г., 14:30 - Zoë",
        "15/1/2568 14:30 - Zoë",
        "15/1/25, 2:30 p.\u00a0m. - Zoë",
        "١٥\u200f/١\u200f/٢٠٢٥, ٢:٣٠ م - Zoë",
        "\u200f[١٥\u200f/١\u200f/٢٠٢٥، ٢:٣٠:٠٠ م] Zoë",
        "14:30, 15/01/2025 - Zoë",
        "[14:30, 15/01/2025] Zoë",
        "[2:30 PM, 1/15/2025] Zoë",
    ],
)
def test_whatsapp_is_read_as_each_language_writes_it(header: str, tmp_path: Path) -> None:
    items = whatsapp(tmp_path, f"{header}: 1月 - hi\n{header}: ho\nand more\n")
    assert said(items) == [("other", "Zoë", "1月 - hi"), ("other", "Zoë", "ho\nand more")]
    assert {each.at for each in items if isinstance(each, ImportedMessage)} == {datetime(2025, 1, 15, 14, 30)}  # noqa: DTZ001


def test_whatsapp_keeps_polls_and_places_and_leaves_out_notices(tmp_path: Path) -> None:
    chat = (
        "[15.01.25, 14:30:00] Bo: \u200ePOLL:\nWhere?\n\u200eOPTION: Porto (\u200e1 vote)\n"
        "[15.01.25, 14:31:00] Bo: \u200eLocation: https://maps.example.org/?q=1,2\n"
        "[15.01.25, 14:32:00] Bo: \u200eMissed voice call\n"
    )
    items = whatsapp(tmp_path, chat)
    assert [each[2] for each in said(items)] == [
        "POLL:\nWhere?\nOPTION: Porto (1 vote)",
        "Location: https://maps.example.org/?q=1,2",
    ]
    assert omitted(items) == {("notice", ""): 1}


def test_whatsapp_says_which_order_it_guessed(tmp_path: Path) -> None:
    guessed = whatsapp(tmp_path, "2/1/24, 10:00 - Bo: a\n")
    assert [each.text for each in guessed if isinstance(each, Remark)] == [
        "Dates like 1/2/2024 in WhatsApp Chat with Bo.txt are read as day/month/year."
    ]
    sure = whatsapp(tmp_path, "13/1/24, 10:00 - Bo: a\n")
    assert not [each for each in sure if isinstance(each, Remark)]


def test_a_date_that_is_none_does_not_turn_the_order_around() -> None:
    dates = [(3, 1, 2024), (14, 1, 2024), (15, 1, 2024), (1, 20, 2024)]  # the last is quoted in a message
    assert order_of(dates, date(2026, 1, 1), prefers_month=False).name == "day/month/year"


# Slack and Discord


def test_slack_puts_names_in_the_place_of_ids(tmp_path: Path) -> None:
    folder = tmp_path / "slack"
    dumped(folder / "users.json", [{"id": "U1", "name": "ana", "profile": {"display_name": "Ana"}}])
    dumped(folder / "channels.json", [{"id": "C9", "name": "bees"}])
    messages = [
        slack_message(
            1, text="Ask <@U1> in <#C9|bees>: <https://example.org|the page> &amp; more", user="U1"
        ),
        slack_message(2, subtype="channel_join", text="<@U1> has joined"),
        slack_message(
            3, subtype="bot_message", username="Alarm", user=None, text="", attachments=[{"text": "Smoke"}]
        ),
        slack_message(4, text="", files=[{"name": "hive.png"}]),
        {"type": "message"},
    ]
    dumped(folder / "bees" / "2024-03-14.json", messages)
    items = read(zipped(tmp_path / "s.zip", folder), "slack")
    assert said(items) == [
        ("other", "Ana", "Ask @Ana in #bees: the page (https://example.org) & more"),
        ("other", "Alarm", "Smoke"),
        ("other", "U2", "(attached: hive.png)"),
    ]
    assert {each.session for each in items if isinstance(each, ImportedMessage)} == {"C9"}
    assert omitted(items)["notice", "channel_join"] == 1
    assert len(bad(items)) == 1


def test_slack_takes_the_text_of_blocks_where_there_is_no_other(tmp_path: Path) -> None:
    def rich(*elements: Any) -> Any:
        section = {"type": "rich_text_section", "elements": list(elements)}
        return [{"type": "rich_text", "elements": [section]}]

    def plain(said: str) -> Any:
        return {"type": "text", "text": said}

    points = [{"type": "rich_text_section", "elements": [plain(each)]} for each in ("one", "two")]
    messages = [
        slack_message(
            1, text="",
            blocks=rich(
                plain("Ask <@U2> & "), {"type": "user", "user_id": "U1"}, plain(": "),
                {"type": "link", "url": "https://example.org", "text": "the page"},
                {"type": "emoji", "name": "bee"}, {"type": "broadcast", "range": "here"},
            ),
        ),
        slack_message(2, text="", blocks=[{"type": "rich_text", "elements": [
            {"type": "rich_text_list", "style": "bullet", "elements": points},
            {"type": "rich_text_quote", "elements": [plain("said")]},
        ]}]),
        slack_message(3, text="", user=None, bot_id="B1", blocks=[
            {"type": "header", "text": {"type": "plain_text", "text": "Hive <1>"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "*Full* &amp; <@U1>"},
             "fields": [{"type": "mrkdwn", "text": "field"}]},
            {"type": "divider"},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "small"}]},
            {"type": "image", "alt_text": "A hive"},
        ]),
        slack_message(4, text="", attachments=[{"fallback": "no", "blocks": rich(plain("card"))}]),
        slack_message(5, text="kept", blocks=rich(plain("not twice"))),
        slack_message(6, text="<!date^1^Posted|May 5> <!subteam^S1|@keepers> <!here>"),
        slack_message(7, text="a number", ts=1710408600.000007),
        slack_message(8, text="", blocks=[5, {"type": "rich_text", "elements": "none"}, "x"]),
    ]  # fmt: skip
    folder = tmp_path / "slack"
    dumped(folder / "users.json", [{"id": "U1", "name": "ana", "profile": {"display_name": "Ana"}}])
    dumped(folder / "bees" / "2024-03-14.json", messages)
    items = read(folder, "slack")
    assert [each[2] for each in said(items)] == [
        "Ask <@U2> & @Ana: the page (https://example.org):bee:@here",
        "one\ntwo\nsaid",
        "Hive <1>\n*Full* & @Ana\nfield\nsmall\nA hive",
        "card",
        "kept",
        "May 5 @keepers @here",
        "a number",
        "",
    ]
    assert [each.id for each in items if isinstance(each, ImportedMessage)][6] == "1710408600.000007"


def test_slack_ends_in_blocks_that_are_nested_in_one_another(tmp_path: Path) -> None:
    block: Any = {"type": "rich_text_section", "elements": [{"type": "text", "text": "deep"}]}
    for _ in range(20):
        block = {"type": "rich_text_list", "elements": [block] * 2}
    dumped(
        tmp_path / "bees" / "2024-03-14.json", [slack_message(0, text="", blocks=[block]), slack_message(1)]
    )
    assert [each[2] for each in said(read(tmp_path, "slack"))][-1] == text(1)


def test_slack_says_that_the_names_cannot_be_read(tmp_path: Path) -> None:
    dumped(tmp_path / "slack" / "bees" / "2024-03-14.json", [slack_message(0)])
    (tmp_path / "slack" / "users.json").write_text("{bad")
    items = read(tmp_path / "slack", "slack")
    assert said(items) == [("other", "U2", text(0))]
    assert [(each.where, each.why) for each in bad(items)] == [
        ("users.json", "It names nobody, so ids stand for names; export it again.")
    ]


def test_discord_takes_nicknames_cards_and_the_person(tmp_path: Path) -> None:
    messages = [
        discord_message(1),
        discord_message(2, "ana", "Queen", attachments=[{"fileName": "hive.png"}]),
        discord_message(3, content="", embeds=[{"title": "News", "description": "Swarm!"}]),
        discord_message(4, type="GuildMemberJoin"),
        {"id": "5"},
    ]
    export = {"guild": {"id": "1"}, "channel": {"id": "2", "name": "bees"}, "messages": messages}
    items = read(dumped(tmp_path / "c.json", export), "discord", me="Ana")
    assert said(items) == [
        ("other", "Bo", text(1)),
        ("user", "Queen", f"{text(2)}\n(attached: hive.png)"),
        ("other", "Bo", "News\nSwarm!"),
    ]
    assert omitted(items)["notice", "GuildMemberJoin"] == 1
    assert [each.where for each in bad(items)] == ["message 5 of bees"]


# mail


def test_mail_is_read_without_its_quotes_and_html(tmp_path: Path) -> None:
    html = "<html><head><title>x</title></head><p>Good <b>honey</b>.</p><script>no()</script></html>"
    mails = [
        mail(1, "Yes, on Friday.\n\nOn Thu, Ana wrote:\n> Shall we meet?\n> Ana"),
        mail(2, html, Content_Type="text/html; charset=utf-8"),
        mail(3, "Buy!", X_Gmail_Labels="Spam,Opened"),
        mail(4, "> only a quote", Subject="=?utf-8?q?F=C3=BCr_dich?="),
        mail(5, ">From the start\n\nFrom now on we meet.", "ana@example.org"),
    ]
    path = tmp_path / "All mail.mbox"
    path.write_text("".join(mails))
    items = read(path, "mbox", me="ana@example.org")
    assert said(items) == [
        ("other", "Bo", "Honey\n\nYes, on Friday."),
        ("other", "Bo", "Honey\n\nGood honey."),
        ("other", "Bo", "Für dich\n\n> only a quote"),
        ("user", "ana@example.org", "Honey\n\nFrom the start\n\nFrom now on we meet."),
    ]
    assert omitted(items) == {("mail in spam", ""): 1}


@pytest.mark.parametrize(
    "attribution",
    [
        "On Thu, Ana wrote:",
        "On Wed, 15 Jan 2025 at 10:00, Ana van der Berg <ana@example.org>\nwrote:",
        "Am Mi., 15. Jan. 2025 um 10:00 Uhr schrieb Ana <\nana@example.org>:",
        "Le mer. 15 janv. 2025 à 10:00, Ana <ana@example.org> a écrit :",
        "在 2025年1月15日，Ana <ana@example.org> 写道：",
        "15.01.2025, 10:00, Ana <ana@example.org>:",
    ],
)
def test_mail_is_read_without_what_names_the_quoted_one(attribution: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    body = f"On 3 May we meet:\nat the pier.\n\n{attribution}\n> Where?\n"
    path.write_text(mail(1, body, Content_Type="text/plain; charset=utf-8"), "utf-8")
    assert said(read(path, "mbox")) == [("other", "Bo", "Honey\n\nOn 3 May we meet:\nat the pier.")]


def test_mail_of_several_parts_names_what_is_attached(tmp_path: Path) -> None:
    body = (
        '--b\nContent-Type: text/plain; charset="iso-8859-1"\n'
        "Content-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe\n"
        "--b\nContent-Type: application/pdf\n"
        'Content-Disposition: attachment; filename="hives.pdf"\n\nJVBERi0=\n--b--'
    )
    path = tmp_path / "m.mbox"
    path.write_text(mail(1, body, MIME_Version="1.0", Content_Type='multipart/mixed; boundary="b"'))
    items = read(path, "mbox")
    assert said(items) == [("other", "Bo", "Honey\n\nGrüße\n(attached: hives.pdf)")]
    assert omitted(items) == {("attachment", "hives.pdf"): 1}


# JSON


@pytest.mark.parametrize("as_list", [True, False])
def test_json_is_read_by_the_names_that_people_use(as_list: bool, tmp_path: Path) -> None:
    records: list[Any] = [
        {"role": "system", "content": "You are kind."},
        {"role": "user", "content": "Hi", "created_at": "2024-03-14T09:30:00Z", "id": "x", "session": "s"},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Ho"}, {"type": "image_url"}],
            "at": 1710408660,
        },
        {"speaker": "Bo", "text": "Hm", "timestamp": 1710408720000},
        {"role": "tool", "content": "42"},
        {"unrelated": True},
    ]
    path = tmp_path / "talk.json"
    path.write_text(json.dumps(records, indent=1) if as_list else "\n".join(map(json.dumps, records)))
    items = read(path, "jsonl")
    assert said(items) == [("user", "", "Hi"), ("assistant", "", "Ho"), ("other", "Bo", "Hm")]
    first, second, third = (each for each in items if isinstance(each, ImportedMessage))
    assert (first.id, first.session, second.session) == ("x", "s", "talk")
    assert [each.at for each in (first, second, third)] == [at(0), at(1), at(2)]
    assert omitted(items) == {("system message", ""): 1, ("image_url", ""): 1, ("tool message", ""): 1}
    assert len(bad(items)) == 1


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ({"author": "Bo", "message": "Hi", "datetime": "2024-03-14T09:30:00Z"}, at(0)),
        ({"sender": "Bo", "body": "Hi", "ts": "1710408600"}, at(0)),
        ({"speaker": "Bo", "text": "Hi", "date": "Thu, 14 Mar 2024 10:30:00 +0100"}, at(0)),
        ({"speaker": "Bo", "text": "Hi", "date": "03/04/2024 10:30"}, None),  # of March or of April
    ],
)
def test_json_of_chats_is_read_by_their_names(
    record: dict[str, str], wanted: datetime | None, tmp_path: Path
) -> None:
    (message,) = read(dumped(tmp_path / "talk.json", [record]), "jsonl")
    assert isinstance(message, ImportedMessage)
    assert (message.speaker, message.text, message.at) == ("Bo", "Hi", wanted)


def test_realtalk_has_a_date_for_each_turn(tmp_path: Path) -> None:
    turns = [{"clean_text": "Hi", "speaker": "Ana", "date_time": "28.12.2023, 20:02:02"}]
    items = read(dumped(tmp_path / "chat.json", {"name": {}, "session_1": turns}), "locomo")
    (found,) = (each for each in items if isinstance(each, ImportedMessage))
    assert (found.text, found.speaker, found.at) == (
        "Hi",
        "Ana",
        datetime.fromisoformat("2023-12-28T20:02:02"),
    )
