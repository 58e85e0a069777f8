"""Secrets stay out of what is shown, logged, stored and sent to a model; normal text stays as it is."""

from __future__ import annotations

import logging
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pagefault
from pagefault.addresses import clean_url
from pagefault.models import Call, Completion
from pagefault.redaction import logger_of, redacted
from pagefault.testing.models import ScriptedModel, say

# A text, and the secret in it.
SECRETS = {
    "Error 401: Incorrect API key sk-proj-abc123DEF456ghi789": "abc123DEF456ghi789",
    "key sk-ant-api03-AbCdEfGh-ijkl_mnop refused": "AbCdEfGh",
    "stripe said no to sk_live_4eC39HqLyjWDarjtT1": "4eC39HqLyjWDarjtT1",
    "Authorization: Bearer abcdefghij": "abcdefghij",
    "{'Authorization': 'Bearer opaque'}": "opaque",
    "headers={'authorization': 'Basic dXNlcjpwYXNz'}": "dXNlcjpwYXNz",
    "b'Authorization': b'Bearer x9'": "x9",
    "sent Bearer 9f8e7d6c5b": "9f8e7d6c5b",
    "GET https://ana:hunter2@h.example/p failed": "hunter2",
    "GET https://ana:hun/ter#2?@h.example/p failed": "ter#2",
    "clone https://ghtoken@github.com/a/b.git": "ghtoken",
    "for url 'https://api.weather.example/x?city=Lisbon&appid=5f4dcc3b5aa765'": "5f4dcc3b5aa765",
    "https://h.example/cb#access_token=abcdef123&x=1": "abcdef123",
    "postgresql://user:p4ss/word@db:5432/x": "p4ss",
    "mongodb+srv://u:secretpw@c.mongodb.net/db": "secretpw",
    "redis://:pw@h:1/0": ":pw",
    "login(user='ana', password='hunter2')": "hunter2",
    "login(password='it\\'s hunter2')": "hunter2",
    "host=db password=hunter2 dbname=x": "hunter2",
    "PASSWORD = hunter2": "hunter2",
    'DB_PASSWORD="a b c"': "a b c",
    "userPassword=correct": "correct",
    '{"api_key": "abcd"}': "abcd",
    "X-Api-Key: a1b2c3d4": "a1b2c3d4",
    "client_secret=qwerty;": "qwerty",
    "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCY": "K7MDENG",
    "The access key AKIAIOSFODNN7EXAMPLE is wrong": "AKIAIOSFODNN7EXAMPLE",
    "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_def expired": "eyJzdWIiOiIxMjM0In0",
    "remote: ghp_abcdefghijklmnopqrst1234": "ghp_",
    "hf_abcdefghijklmnopqrstuvwxyz is not valid": "hf_abc",
    "https://api.telegram.org/bot123456789:AAabcdefghijklmnopqrstuvwxyz1234567/getMe": "AAabcdef",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----": "MIIEow",
    "-----BEGIN PRIVATE KEY-----\nMIIEow (cut off)": "MIIEow",
}
NORMAL = (
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "550e8400-e29b-41d4-a716-446655440000",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4==",
    "Unexpected token: }",
    "Invalid token: unexpected end of input",
    "max_tokens=4096, token_count=12, tokens: 12,345",
    "risk-assessment-framework-2024 and task-1234567890123456",
    "the package sk-learn 0.24",
    "password: Field required",
    "password=None, token=null",
    "KeyError: 'token'",
    "TypeError: f() got an unexpected keyword argument 'api_key'",
    "Bearer of good news; a bearer instrument; basic 12345678 units; Basic understanding",
    "https://medium.com/@user/post-1 and http://localhost:8080/@user",
    "see https://example.com/a/b#section-2 for more",
    "mail ana@example.com, or ssh git@github.com:a/b.git",
    "auth failed: 401 Unauthorized",
    "pass=3 fail=2, key: abcdef12, monkey=banana, author: Ana2024!",
    "the secret: be kind",
    "It needs a key: export OPENAI_API_KEY=...",
    "https://[::1]:8080/v1 says: 10:30:00",
)


@pytest.mark.parametrize(("text", "secret"), SECRETS.items())
def test_what_looks_like_a_secret_is_taken_out(text: str, secret: str) -> None:
    assert secret not in redacted(text)
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize("text", NORMAL)
def test_normal_text_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "name", ["GROQ_API_KEY", "my_token", "DB_PASSWORD", "SECRET_SAUCE", "PAGEFAULT_MODEL_KEY"]
)
def test_the_value_of_a_variable_that_has_the_name_of_a_secret(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "zebra crossing/tail")
    said = redacted("it was 'zebra crossing/tail', or zebra%20crossing%2Ftail")
    assert "zebra" not in said


@pytest.mark.parametrize(
    ("name", "value"), [("SSH_KEY_PATH", "/home/ana/.ssh"), ("PWD", "/home/ana"), ("A_KEY", "no")]
)
def test_the_value_of_other_variables_stays(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert redacted(f"no file {value}") == f"no file {value}"


@given(st.uuids(), st.integers(0, 2**160), st.text("abcdefghijklmnopqrstuvwxyz ,.", max_size=80))
def test_ids_hashes_and_words_are_no_secrets(id: UUID, number: int, words: str) -> None:
    text = f"{words} {id} {number:040x}"
    assert redacted(text) == text


@given(st.text(max_size=200))
def test_any_text_is_taken_and_no_secret_comes_through(text: str) -> None:
    assert "s3cr3t-value" not in redacted(f"{text} password='s3cr3t-value' {text}")


@pytest.mark.parametrize(
    ("url", "clean"),
    {
        "https://u:p@h.example/a?token=1#f": "https://h.example/a",
        "https://u:p#w@h/a?x=1": "https://h/a",
        "https://u:p/s?s@h/a?x=1": "https://h/a",
        "HTTPS://U:P@H/A": "HTTPS://H/A",
        "https://token@h": "https://h",
        "https://h:8080/@x?y#z": "https://h:8080/@x",
        "https://h:8080#a@b": "https://h:8080",
        "https://h?x=a@b": "https://h",
        "http://[::1]:80/a?b": "http://[::1]:80/a",
        "no url?x": "no url",
    }.items(),
)
def test_a_url_is_kept_without_user_password_query_and_fragment(url: str, clean: str) -> None:
    assert clean_url(url) == clean
    assert clean_url(clean_url(url, marked=True)) == clean


def test_two_documents_that_differ_in_their_query_stay_two() -> None:
    first, second = (clean_url(f"https://h/a?page={n}&token=abc", marked=True) for n in (1, 2))
    assert first != second
    assert "abc" not in first
    assert first == clean_url("https://u:p@h/a?page=1&token=abc#top", marked=True)


def test_logs_hold_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    logger = logger_of("pagefault.test_redaction")
    assert logger is logger_of("pagefault.test_redaction")
    with caplog.at_level(logging.INFO):
        logger.info("fetching %s", "https://ana:hunter2@h/?token=hunter2")
        try:
            raise ValueError("password='hunter2'")
        except ValueError:
            logger.exception("it failed")
    assert "https://h/?…" in caplog.text
    assert "ValueError: password='[redacted]'" in caplog.text
    assert "hunter2" not in caplog.text


def leak() -> str:
    """Fail with a secret in the exception."""
    raise RuntimeError("401 for https://api.example/v1?key=hunter2 with Authorization: Bearer hunter2")


def test_the_exception_of_a_tool_reaches_neither_model_nor_log_with_its_secrets(tmp_path: Path) -> None:
    tried = Completion(calls=(Call("c", "leak", "{}"),))
    model = ScriptedModel([tried, Completion(calls=(say("It failed."),))])

    async def run() -> None:
        async with pagefault.open(tmp_path, model=model, tools=[leak]) as installation:
            await (await installation.agent("ana")).send("Try it.")

    anyio.run(run)
    assert "RuntimeError: 401 for https://api.example/v1?…" in str(model.prompts[-1])
    assert "hunter2" not in str(model.prompts)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"hunter2" not in stored
