"""Small exports as other programs write them, made here: a conversation of any length for each kind."""

from __future__ import annotations

import json
import pickle
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2024, 3, 14, 9, 30, tzinfo=UTC)
"""The time of the first message; each next one is a minute later."""


def at(number: int) -> datetime:
    return START + timedelta(minutes=number)


def text(number: int) -> str:
    return f"Line {number} of the talk about honey."


def dumped(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")
    return path


def zipped(path: Path, folder: Path) -> Path:
    """A ZIP with all files of a folder."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                file.write(each, each.relative_to(folder).as_posix())
    return path


# ChatGPT


def node(id: str, parent: str | None, role: str, *parts: Any, time: float | None = None, **more: Any) -> Any:
    """A node of a conversation, with its message."""
    message = {
        "id": id, "author": {"role": role, "name": None}, "create_time": time,
        "content": {"content_type": "text", "parts": list(parts)}, "recipient": "all", "metadata": {},
    }  # fmt: skip
    return {"id": id, "parent": parent, "children": [], "message": message | more}


def talk(*nodes: Any, id: str = "c1", current: str | None = None, title: str = "Honey") -> Any:
    """A conversation of ChatGPT that ends with its last node."""
    return {
        "title": title, "create_time": START.timestamp(), "conversation_id": id,
        "mapping": {each["id"]: each for each in nodes}, "current_node": current or nodes[-1]["id"],
    }  # fmt: skip


def chatgpt(folder: Path, count: int) -> Path:
    nodes = [
        node(
            f"n{number}", f"n{number - 1}" if number else None, ("user", "assistant")[number % 2],
            text(number), time=at(number).timestamp(),
        )
        for number in range(count)
    ]  # fmt: skip
    half = max(1, count // 2)
    dumped(folder / "chatgpt" / "conversations-000.json", [talk(*nodes[:half])])
    dumped(folder / "chatgpt" / "conversations-001.json", [talk(*nodes[half:], id="c2")] * bool(nodes[half:]))
    dumped(folder / "chatgpt" / "user.json", {"id": "u", "email": "ana@example.org"})
    return zipped(folder / "chatgpt.zip", folder / "chatgpt")


# Claude


def turn(id: str, sender: str, said: str, number: int = 0, /, **more: Any) -> Any:
    return {
        "uuid": id, "text": said, "content": [{"type": "text", "text": said}], "sender": sender,
        "created_at": at(number).isoformat(), "attachments": [], "files": [],
    } | more  # fmt: skip


def claude(folder: Path, count: int) -> Path:
    turns = [
        turn(f"m{number}", ("human", "assistant")[number % 2], text(number), number)
        for number in range(count)
    ]
    talks = [{"uuid": "t1", "name": "Honey", "created_at": START.isoformat(), "chat_messages": turns}]
    dumped(folder / "claude" / "conversations.json", talks)
    dumped(folder / "claude" / "users.json", [{"uuid": "u", "email_address": "ana@example.org"}])
    return zipped(folder / "claude.zip", folder / "claude")


# Telegram


def telegram_message(number: int, sender: str = "Bo", **more: Any) -> Any:
    return {
        "id": number, "type": "message", "date": at(number).replace(tzinfo=None).isoformat(),
        "date_unixtime": str(int(at(number).timestamp())), "from": sender, "from_id": f"user{len(sender)}",
        "text": text(number),
    } | more  # fmt: skip


def telegram(folder: Path, count: int) -> Path:
    messages = [telegram_message(number, ("Ana", "Bo")[number % 2]) for number in range(count)]
    return dumped(
        folder / "result.json", {"name": "Bo", "type": "personal_chat", "id": 7, "messages": messages}
    )


# Discord


def discord_message(number: int, name: str = "bo", nickname: str = "Bo", **more: Any) -> Any:
    message: dict[str, Any] = {
        "id": str(number), "type": "Default", "timestamp": at(number).isoformat(), "content": text(number),
        "author": {"id": name, "name": name, "nickname": nickname, "isBot": False},
        "attachments": [], "embeds": [], "stickers": [],
    }  # fmt: skip
    return message | more


def discord(folder: Path, count: int) -> Path:
    messages = [discord_message(number) for number in range(count)]
    channel = {"id": "2", "name": "bees"}
    return dumped(
        folder / "bees.json", {"guild": {"id": "1", "name": "G"}, "channel": channel, "messages": messages}
    )


# Slack


def slack_message(number: int, user: str | None = "U2", **more: Any) -> Any:
    ts = f"{int(at(number).timestamp())}.{number:06}"
    return {"type": "message", "user": user, "text": text(number), "ts": ts} | more


def slack(folder: Path, count: int) -> Path:
    users = [
        {"id": "U1", "name": "ana", "profile": {"display_name": "Ana"}},
        {"id": "U2", "name": "bo", "profile": {"display_name": "", "real_name": "Bo"}},
    ]
    dumped(folder / "slack" / "users.json", users)
    dumped(folder / "slack" / "channels.json", [{"id": "C1", "name": "bees"}])
    half = count // 2
    for day, numbers in (("2024-03-14", range(half)), ("2024-03-15", range(half, count))):
        dumped(folder / "slack" / "bees" / f"{day}.json", [slack_message(number) for number in numbers])
    return folder / "slack"


# WhatsApp, mail, lines, LoCoMo


def whatsapp(folder: Path, count: int) -> Path:
    lines = ["14/03/2024, 09:29 - Messages and calls are end-to-end encrypted."]
    lines += [f"{at(number):%d/%m/%Y, %H:%M} - Bo: {text(number)}" for number in range(count)]
    path = folder / "WhatsApp Chat with Bo.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def mail(number: int, body: str, sender: str = "Bo <bo@example.org>", **headers: str) -> str:
    fields = {
        "From": sender, "To": "ana@example.org", "Subject": "Honey",
        "Date": at(number).strftime("%a, %d %b %Y %H:%M:%S +0000"), "Message-ID": f"<{number}@example.org>",
    } | {name.replace("_", "-"): value for name, value in headers.items()}  # fmt: skip
    head = "\n".join(f"{name}: {value}" for name, value in fields.items())
    return f"From bo@example.org Thu Mar 14 09:30:00 2024\n{head}\n\n{body}\n\n"


def mbox(folder: Path, count: int) -> Path:
    path = folder / "mail.mbox"
    path.write_text("".join(mail(number, text(number)) for number in range(count)), "utf-8")
    return path


def jsonl(folder: Path, count: int) -> Path:
    path = folder / "talk.jsonl"
    lines = [
        json.dumps(
            {"role": ("user", "assistant")[number % 2], "content": text(number), "at": at(number).isoformat()}
        )
        for number in range(count)
    ]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def locomo(folder: Path, count: int) -> Path:
    turns = [{"speaker": "Bo", "dia_id": f"D1:{number}", "text": text(number)} for number in range(count)]
    conversation = {"speaker_a": "Bo", "session_1_date_time": "9:30 am on 14 March, 2024", "session_1": turns}
    return dumped(folder / "locomo.json", [{"sample_id": "s1", "conversation": conversation}])


def letta(folder: Path, count: int) -> Path:
    messages = [
        {
            "id": f"message-{number}", "role": ("user", "assistant")[number % 2],
            "content": [{"type": "text", "text": text(number)}], "created_at": at(number).isoformat(),
        }
        for number in range(count)
    ]  # fmt: skip
    agent = {"id": "agent-0", "name": "bee", "agent_type": "letta_v1_agent", "messages": messages}
    return dumped(folder / "bee.af", {"agents": [agent], "blocks": [], "groups": []})


def memgpt(folder: Path, count: int) -> Path:
    """The folder of MemGPT 0.2, with a pickle of plain values."""
    messages = list[dict[str, Any]]()
    for number in range(count):
        said: dict[str, Any] = {"role": "user", "content": text(number)}
        if number % 2:
            call = {"name": "send_message", "arguments": json.dumps({"message": text(number)})}
            said = {"role": "assistant", "content": None, "function_call": call}
        messages.append({"timestamp": f"{at(number):%Y-%m-%d %I:%M:%S %p UTC+0000}", "message": said})
    agent = folder / "memgpt" / "agents" / "bee"
    dumped(agent / "agent_state" / "now.json", {"messages": [], "memory": {}, "system": ""})
    (agent / "persistence_manager").mkdir()
    stored = pickle.dumps({"all_messages": messages, "messages": [], "recall_memory": None})
    (agent / "persistence_manager" / "now.persistence.pickle").write_bytes(stored)
    return folder / "memgpt"


def mem0(folder: Path, count: int) -> Path:
    """The database of mem0's history, with messages beside it."""
    path = folder / "history.db"
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE history (id, memory_id, old_memory, new_memory, event, created_at)")
        database.execute("CREATE TABLE messages (id, session_scope, role, content, name, created_at)")
        rows = (
            (f"m{n}", "user_id=bo", ("user", "assistant")[n % 2], text(n), None, at(n).isoformat())
            for n in range(count)
        )
        database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.close()
    return path


SAMPLES: Mapping[str, Callable[[Path, int], Path]] = {
    "chatgpt": chatgpt, "claude": claude, "telegram": telegram, "discord": discord, "slack": slack,
    "locomo": locomo, "whatsapp": whatsapp, "mbox": mbox, "jsonl": jsonl, "letta": letta,
    "memgpt": memgpt, "mem0": mem0,
}  # fmt: skip
