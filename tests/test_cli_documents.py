"""`pagefault load` and `pagefault document`: what they print, store and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Run
from document_files import pdf


@pytest.fixture(autouse=True)
def ana(run: Run) -> None:
    run("agent", "create", "ana")


def test_a_folder_is_loaded_shown_searched_and_deleted(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    pages = ["The tide turns at noon.", "The lighthouse is white."]
    (folder / "tides.pdf").write_bytes(pdf(pages, title="On tides", chapters={1: "Light"}))
    (folder / "photo.jpg").write_bytes(b"\xff\xd8")
    loaded = run("load", str(folder), "--agent", "ana", "--tag", "#sea", "--json")
    assert loaded.code == 0
    why = loaded.json["documents"][0]["why"]
    assert why.startswith("It is a picture (JPG); attach it to a message as an image, or load ")
    assert loaded.err == f"skipped: {folder}/photo.jpg: {why}\n"
    assert loaded.json == {
        "documents": [
            {
                "source": f"{folder}/photo.jpg",
                "state": "skipped",
                "why": why,
            },
            {
                "source": f"{folder}/tides.pdf",
                "state": "loaded",
                "id": "d1",
                "title": "On tides",
                "media": "application/pdf",
                "pages": 2,
                "tags": ["sea"],
                "passages": 2,
            },
        ],
        "event": 1,
    }
    again = run("load", str(folder), "--agent", "ana", "--tag", "sea")
    assert again.out.endswith(f"unchanged: d1 On tides (2 pages) {folder}/tides.pdf\n")
    (found,) = run("archival", "search", "lighthouse", "--agent", "ana", "--json").json["results"]
    assert (found["title"], found["document"], found["page"], found["section"]) == (
        "On tides",
        "d1",
        2,
        "Light",
    )
    assert pages[1][found["start"] : found["stop"]] == found["text"]
    assert "On tides, p. 2 #sea] The lighthouse" in run("archival", "search", "white", "--agent", "ana").out
    listed = run("document", "list", "--agent", "ana")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["Showing", "id", "d1"]
    shown = run("document", "show", "d1", "--agent", "ana", "--page", "2")
    assert shown.out.endswith("--- page 2, Light\nThe lighthouse is white.\n")
    assert run("document", "show", "d1", "--agent", "ana", "--json").json["page"]["text"] == pages[0]
    assert run("document", "show", "d1", "--agent", "ana", "--page", "3").err == (
        "pagefault: There is no page 3 in d1; pages go from 1 to 2.\n"
    )
    assert run("document", "delete", "d1", "--agent", "ana").out == "d1 is deleted.\n"
    assert run("document", "list", "--agent", "ana", "--json").json["total"] == 0
    assert run("archival", "list", "--agent", "ana", "--json").json["total"] == 0
    assert run("document", "delete", "d1", "--agent", "ana").err == (
        "pagefault: There is no document d1; `pagefault document list` shows those there are.\n"
    )


def test_a_fact_in_a_long_pdf_is_found_on_its_page(run: Run, tmp_path: Path) -> None:
    pages = [f"On day {n} the tide turned and nothing else was noted. " * 12 for n in range(1, 61)]
    pages[41] += "The heron vault opens with code heron-4711."
    (tmp_path / "ledger.pdf").write_bytes(pdf(pages))
    assert run("load", str(tmp_path / "ledger.pdf"), "--agent", "ana").code == 0
    found = run("archival", "search", "heron-4711", "--agent", "ana", "--json").json
    assert (found["total"], found["results"][0]["page"]) == (1, 42)
    asked = run("archival", "search", "Which code opens the heron vault?", "--agent", "ana", "--json").json
    assert asked["results"][0]["page"] == 42
    shown = run("document", "show", "d1", "--agent", "ana", "--page", "42").out
    assert "opens with code heron-4711." in shown


def test_a_bad_file_is_named_the_rest_is_loaded_and_the_exit_code_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("Bees dance.")
    (tmp_path / "bad.pdf").write_text("nonsense")
    ran = run("load", str(tmp_path / "bad.pdf"), str(tmp_path / "good.txt"), "--agent", "ana")
    assert ran.code == 1
    why = "It is not a PDF that can be read, or only a part of one; get it anew, or print it to PDF."
    assert ran.err == f"failed: {tmp_path}/bad.pdf: {why}\n"
    assert ran.out == (
        f"failed: {tmp_path}/bad.pdf\nloaded: d1 good (1 page, 1 passage) {tmp_path}/good.txt\n"
    )


def test_what_was_not_read_is_said_and_an_encoding_can_be_set(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Привет, Иван.".encode("cp1251"))
    ran = run("load", str(path), "--agent", "ana", "--json")
    assert ran.err.startswith(f"note: {path}: Its characters are read as ")
    assert ran.err.endswith("which is not certain; --encoding sets another.\n")
    (item,) = json.loads(ran.out)["documents"]
    assert [f"note: {path}: {note}\n" for note in item["notes"]] == [ran.err]
    ran = run("load", str(path), "--agent", "ana", "--encoding", "cp1251")
    assert (ran.out[:9], ran.err) == ("replaced:", "")
    assert "Привет, Иван." in run("document", "show", "d1", "--agent", "ana").out
    assert run("load", str(path), "--agent", "ana", "--encoding", "windows-1251").out.startswith("unchanged:")
    ran = run("load", str(path), "--agent", "ana", "--encoding", "klingon")
    assert (ran.code, ran.out) == (1, "")
    assert "There is no encoding 'klingon'; name one such as utf-8" in ran.err


def test_a_password_opens_a_pdf_and_is_written_nowhere(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf(["The vault opens at noon."], password="open barley"))
    ran = run("load", str(tmp_path / "a.pdf"), "--agent", "ana", "--password", "open sesame")
    assert ran.code == 1
    assert "not with this password" in ran.err
    ran = run("load", str(tmp_path / "a.pdf"), "--agent", "ana", "--password", "open barley")
    assert ran.out.startswith("loaded: d1")
    held = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "a.pdf"]
    assert not [path for path in held if b"barley" in path.read_bytes() or b"sesame" in path.read_bytes()]


def test_standard_input_is_a_document(run: Run) -> None:
    for text, state in (("# Plan\n\nSow.", "loaded"), ("# Plan\n\nReap.", "replaced")):
        ran = run("load", "-", "--agent", "ana", "--title", "The plan", stdin=text)
        assert ran.out == f"{state}: d1 The plan (1 page, 1 passage) stdin:The plan\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("load", "x.txt", "--agent", "nobody"), "There is no agent nobody"),
        (("load", "ftp://host/a.txt", "--agent", "ana"), "only http and https addresses are"),
        (("load", ".", "x.txt", "--title", "T", "--agent", "ana"), "A title is for one document"),
        (("document", "show", "7", "--agent", "ana"), "'7' is not the id of a document"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "y.txt").write_text("y")
    monkeypatch.chdir(tmp_path)
    ran = run(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1


def test_an_empty_folder_is_nothing_to_load(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = run("load", str(tmp_path / "empty"), "--agent", "ana")
    assert (ran.code, ran.err) == (
        1,
        "pagefault: There is nothing to load there; name files, or a folder that has some.\n",
    )


def test_no_name_of_a_file_forges_a_line(run: Run, tmp_path: Path) -> None:
    """A name may come out of an archive."""
    file = tmp_path / "a\nfailed: b.txt: forged\x1b[2J.txt"
    file.write_bytes(b"The mole is long.\0The tide is low.\n" * 9)
    ran = run("load", str(file), "--agent", "ana")
    assert "Zero bytes left out" in ran.err
    lines = (ran.out + ran.err).split("\n")
    assert not [line for line in lines if line.startswith("failed")]
    assert "\x1b" not in ran.out + ran.err
