"""The report of a benchmark: what stands in it, what may not, and what it says of a folder that is no
finished run. The runs are made of figures and texts of our own, by the code that writes real ones."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pagefault.bench.recording import Spent
from pagefault.bench.report import write
from pagefault.bench.report.paper import published
from pagefault.bench.results import FORMAT, ItemResult, RunFolder, Settings
from pagefault.cli import main
from pagefault.errors import UsageError

EVIL = "<script>alert('x')</script> | & <img src=http://evil.example/p.png>"
LEVELS = Settings("nested-kv", "offline", 8192, 0, "0123456789abcdef", path="/somewhere/private/pairs")


def item(number: int, right: bool, part: str = "", measure: str = "accuracy", **more: object) -> ItemResult:
    """An item with a reply of three words, one request of 1,000 tokens, and two seconds."""
    made = ItemResult(
        f"item{number}", part, "Which key is it?", ("the third",), "I say third",
        {measure: float(right), "token_f1": 0.4, "mean_length": 3.0},
        seconds=2.0, spent=asdict(Spent(1, 1000, 20, 0, 0.0, 1.5)), format=FORMAT,
    )  # fmt: skip
    return replace(made, **more)


def write_run(
    folder: Path, settings: Settings, items: Mapping[str, Sequence[ItemResult]], *, finish: bool = True,
    failed: Mapping[str, str] | None = None, model: str = "", **more: object,
) -> Path:  # fmt: skip
    results = RunFolder(folder, settings)
    for name, done in items.items():
        for one in done:
            results.add(name, one)
    if finish:
        ids = dict.fromkeys(one.id for done in items.values() for one in done)
        left = {name: dict(failed or {}) for name in items}
        results.write([*ids, *(failed or {})], (), left, model or settings.model, **more)
    return folder


def levels(folder: Path, model: str = "reference-policy") -> Path:
    """Ten items at each of three levels: MemGPT has all right, ``full`` fewer with each level."""
    done = {
        "memgpt": [item(100 * level + n, True, str(level)) for level in range(3) for n in range(10)],
        "full": [
            item(100 * level + n, n < 8 - 3 * level, str(level)) for level in range(3) for n in range(10)
        ],
    }
    return write_run(folder, LEVELS, done, model=model)


def sweep(folder: Path) -> Path:
    right = {1: 3, 5: 6, 10: 8, 20: 7, 50: 5, 100: 3, 200: 1}
    done = {f"retriever-reader@{k}": [item(n, n < count) for n in range(10)] for k, count in right.items()}
    settings = replace(LEVELS, task="docqa", window=4096)
    return write_run(folder, settings, {"memgpt": [item(n, n < 9) for n in range(10)], **done})


def kept(folder: Path, window: int) -> Path:
    share = {"memgpt": 20, "memgpt-without-recall": 12, "recursive-summary": 6, "truncate": 3}
    done = {
        name: [
            item(100 * flushes + n, n < most - flushes // 3, str(flushes), "kept")
            for flushes in (1, 3, 10)
            for n in range(20)
        ]
        for name, most in share.items()
    }
    return write_run(folder, replace(LEVELS, task="retention", window=window), done)


class Page(HTMLParser):
    """A page that was read: tags with their attributes, and the cells of its tables with their classes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[tuple[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append((dict(attrs).get("class") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data
        if self.open[-1:] in (["td"], ["th"]):
            kind, before = self.rows[-1][-1]
            self.rows[-1][-1] = kind, before + data


def page_of(folder: Path) -> Page:
    page = Page(write(folder)[0].read_text("utf-8"))
    assert page.open == []
    return page


def markdown_rows(folder: Path) -> list[list[str]]:
    text = write(folder)[1].read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [
        [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
    ]


def row_of(rows: Sequence[Sequence[str]], *first: str) -> Sequence[str]:
    return next(row for row in rows if tuple(row[: len(first)]) == first)


def test_scores_stand_by_part_and_strategy_with_intervals_length_and_f1(tmp_path: Path) -> None:
    rows = markdown_rows(levels(tmp_path))
    assert row_of(rows, "part") == [
        "part", "strategy", "n", "unfit", "failed", "accuracy", "token F1", "mean length, words",
    ]  # fmt: skip
    stored = json.loads((tmp_path / "results.json").read_text("utf-8"))["strategies"]["full"]
    low, high = stored["accuracy"]["low"], stored["accuracy"]["high"]
    assert row_of(rows, "all", "full")[2:] == [
        "30", "0", "0", f"0.500 ({low:.3f}–{high:.3f})", "0.400 (0.400–0.400)", "3.0 (3.0–3.0)",
    ]  # fmt: skip
    assert row_of(rows, "2", "full")[5].startswith("0.200 (")
    assert row_of(rows, "2", "memgpt")[5] == "1.000 (1.000–1.000)"


def test_a_recall_has_length_and_f1_beside_it(tmp_path: Path) -> None:
    done = {"memgpt": [item(1, True, measure="rouge_l_recall"), item(2, False, measure="rouge_l_recall")]}
    rows = markdown_rows(write_run(tmp_path, replace(LEVELS, task="dmr"), done))
    assert row_of(rows, "strategy")[4:] == ["ROUGE-L recall", "token F1", "mean length, words"]


def test_tokens_cost_and_time_stand_by_strategy(tmp_path: Path) -> None:
    rows = markdown_rows(levels(tmp_path))
    assert row_of(rows, "memgpt", "30") == [
        "memgpt", "30", "30,000", "600", "0", "0", "2.000", "2.000", "1.500",
    ]  # fmt: skip
    unknown = [item(1, True, spent=asdict(Spent(2, 900, 7, 3, None, 4.0, estimated=True)))]
    rows = markdown_rows(write_run(tmp_path / "other", LEVELS, {"memgpt": unknown}))
    assert row_of(rows, "memgpt", "2")[2:6] == ["≈ 900", "≈ 7", "3", "not known"]


def test_the_page_and_the_markdown_have_the_same_figures(tmp_path: Path) -> None:
    levels(tmp_path / "a")
    sweep(tmp_path / "b")
    assert [[cell for _, cell in row] for row in page_of(tmp_path).rows] == [
        row for row in markdown_rows(tmp_path) if not row[0].startswith("---")
    ]


def test_the_papers_figures_stand_beside_ours_and_are_marked(tmp_path: Path) -> None:
    page = page_of(levels(tmp_path))
    head = next(row for row in page.rows if row[0][1] == "measure")
    assert [cell for _, cell in head] == [
        "measure", "strategy", "level", "measured (reference-policy)",
        "paper (GPT-3.5 Turbo)", "paper (GPT-4)", "paper (GPT-4 Turbo)",
    ]  # fmt: skip
    wanted = [("name", "accuracy"), ("name", "full"), ("name", "1")]
    ours = next(row for row in page.rows if row[:3] == wanted)
    assert ours[3][0] == "figure"
    assert ours[3][1].startswith("0.500 (")
    assert ours[4:] == [("paper", "0.00"), ("paper", "0.30"), ("paper", "0.50")]
    marked = [cell for row in page.rows for kind, cell in row if kind == "paper"]
    assert len(marked) == 3 * 9  # two strategies at four levels, and the head; nothing else is so marked
    assert "arXiv 2310.08560v2" in page.text
    assert "not measured here" in page.text


def test_what_the_paper_has_and_we_have_not_is_a_dash_and_the_other_way_round(tmp_path: Path) -> None:
    done = {"memgpt": [item(n, True, str(n)) for n in (3, 4)]}
    rows = markdown_rows(write_run(tmp_path, LEVELS, done))
    assert row_of(rows, "accuracy", "memgpt", "0")[3:] == ["–", "1.00", "1.00", "1.00"]
    assert row_of(rows, "accuracy", "memgpt", "4")[3:] == ["1.000 (1.000–1.000)", "–", "–", "–"]


def test_the_papers_table_is_as_published() -> None:
    best = {(one.measure, one.model): one.value for one in published("dmr") if one.strategy == "memgpt"}
    assert best["rouge_l_recall", "GPT-4"] == 0.814
    assert best["judged", "GPT-4 Turbo"] == 0.934
    assert published("retention") == []


def classes(page: Page, tag: str) -> list[str]:
    return [attributes.get("class") or "" for name, attributes in page.tags if name == tag]


def test_figure_7_is_drawn_with_intervals_and_the_papers_curves_apart(tmp_path: Path) -> None:
    page = page_of(levels(tmp_path))
    groups = [kind for kind in classes(page, "g") if kind]
    assert sum(kind.startswith("measured") for kind in groups) == 2 * 2  # in the chart and in its legend
    assert sum(kind.startswith("paper") for kind in groups) == 2 * 6
    assert classes(page, "path").count("whisker") == 3 * 2 * 3
    assert "nesting levels" in page.text
    assert "paper: MemGPT, GPT-4 Turbo" in page.text


def test_figure_5_has_our_sweep_and_a_flat_line(tmp_path: Path) -> None:
    page = page_of(sweep(tmp_path))
    lines = [a["points"] or "" for tag, a in page.tags if tag == "polyline"]
    ours = lines[-2:]  # above the paper's
    assert [len(points.split()) for points in ours] == [7, 2]
    (left, right) = (point.split(",")[1] for point in ours[1].split())
    assert left == right
    assert "documents retrieved, K (log scale)" in page.text


def test_the_documents_seen_are_drawn_over_k_without_a_language_model(tmp_path: Path) -> None:
    settings = replace(LEVELS, task="docqa")
    measure = "evidence_seen"
    done = {f"retriever-reader@{k}": [item(n, n < k, measure=measure) for n in range(10)] for k in (1, 5, 10)}
    for name, seen in (("memgpt", 7), ("memgpt+prefetch", 9)):
        done[name] = [item(n, n < seen, measure=measure) for n in range(10)]
    page = page_of(write_run(tmp_path, settings, done, model="offline"))
    assert "Gold documents seen, over the number of documents" in page.text
    assert "Figure 5" not in page.text, "no answers, so nothing beside the paper's"
    lines = [len((a["points"] or "").split()) for tag, a in page.tags if tag == "polyline"]
    assert sorted(lines) == [2, 2, 3]


def test_retention_is_drawn_over_flushes_and_over_windows(tmp_path: Path) -> None:
    for window in (4096, 16384):
        kept(tmp_path / str(window), window)
    page = page_of(tmp_path)
    assert (
        page.text.count("Facts kept, by mechanism and number of flushes") == 2 * 2
    )  # also as the SVG's title
    assert page.text.count("Facts kept, by mechanism and window") == 2
    assert "window, tokens (log scale)" in page.text


def test_nothing_is_fetched_and_there_is_no_script(tmp_path: Path) -> None:
    levels(tmp_path / "a")
    sweep(tmp_path / "b")
    kept(tmp_path / "c", 4096)
    text = write(tmp_path)[0].read_text("utf-8")
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert "src" not in attributes
        assert all(not name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"https?://|url\(|@import", text)


def test_what_comes_from_data_and_models_is_text(tmp_path: Path) -> None:
    evil = item(1, False, EVIL, question=EVIL, gold=(EVIL,), reply=f"{EVIL}\0")
    settings = replace(LEVELS, model=EVIL, data=EVIL, judge=EVIL, path="/x/<script>")
    done = {"memgpt": [evil, item(2, True, "0")], "<script>": [evil, item(2, False, "0")]}
    folder = write_run(
        tmp_path / "<script>", settings, done, failed={EVIL: EVIL}, model=EVIL, stopped=EVIL, left_out=[EVIL]
    )
    page, markdown = page_of(folder), write(folder)[1].read_text("utf-8")
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert page.text.count(EVIL) > 10
    assert "\0" not in page.text
    assert "<" not in markdown
    widths = {
        table: {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines() if line.startswith("|")}
        for table in markdown.split("###")[1:]
    }
    assert [table for table, found in widths.items() if len(found) != 1] == []


def test_items_are_shown_at_even_distances(tmp_path: Path) -> None:
    done = [item(n, True, question=f"What is number {n}?", reply="x" * 999) for n in range(50)]
    page = page_of(write_run(tmp_path, LEVELS, {"memgpt": done}))
    assert re.findall(r"What is number (\d+)", page.text) == ["0", "10", "20", "30", "40"]
    assert "x" * 400 + " … (999 characters)" in page.text


@pytest.mark.parametrize(
    ("model", "says"), [("offline", "no language model"), ("reference-policy", "no result of a model")]
)
def test_a_stand_in_is_named_as_one(tmp_path: Path, model: str, says: str) -> None:
    assert says in page_of(levels(tmp_path, model)).text


def test_a_language_model_is_no_stand_in(tmp_path: Path) -> None:
    assert "stand-in" not in page_of(levels(tmp_path, "openai:some-model")).text


def test_what_was_run_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.md").write_text("# Pairs\n\nLicence: MIT, by nobody.\n", "utf-8")
    settings = replace(LEVELS, path=str(tmp_path / "data"), seed=7)
    folder = write_run(tmp_path / "run", settings, {"memgpt": [item(1, True)]})
    rows = markdown_rows(folder)
    assert row_of(rows, "seed")[1] == "7"
    assert row_of(rows, "data, SHA-256 (first 16)")[1] == "0123456789abcdef"
    assert row_of(rows, "data")[1] == "data"
    assert row_of(rows, "licence of the data, as its README has it")[1] == "Licence: MIT, by nobody."
    assert re.fullmatch(r"pagefault \S+, Python \S+", row_of(rows, "made with")[1])
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", row_of(rows, "results written")[1])
    assert str(tmp_path) not in write(folder)[0].read_text("utf-8")  # a report may be handed on


def test_a_licence_is_read_from_the_table_of_a_readme_one_folder_up(tmp_path: Path) -> None:
    (tmp_path / "pairs").mkdir()
    table = "| folder | what | licence (as found) |\n|---|---|---|\n| `pairs/` | keys | CC0 |\n"
    (tmp_path / "README.md").write_text(f"# Data\n\n{table}", "utf-8")
    settings = replace(LEVELS, path=str(tmp_path / "pairs"))
    rows = markdown_rows(write_run(tmp_path / "run", settings, {"memgpt": [item(1, True)]}))
    assert row_of(rows, "licence of the data, as its README has it")[1] == "CC0"


def test_failures_what_does_not_fit_and_what_stopped_a_run_are_said(tmp_path: Path) -> None:
    full = [item(1, True, "0"), item(2, False, "1", unfit="The texts take 9 tokens.", scores={})]
    folder = write_run(
        tmp_path, LEVELS, {"full": full}, failed={"item9": "It is overloaded."},
        stopped="The budget of 9 tokens is spent.", left_out=["kv.jsonl, line 4: not JSON"],
    )  # fmt: skip
    page, rows = page_of(folder), markdown_rows(folder)
    assert row_of(rows, "full", "1")[:4] == ["full", "1", "1", "1"]
    assert ["full", "item9", "It is overloaded."] in rows
    assert "The run stopped before its end: The budget of 9 tokens is spent." in page.text
    assert "full does not fit at 1 items: The texts take 9 tokens." in page.text
    assert "1 wrong records were left out, the first of them: kv.jsonl, line 4: not JSON" in page.text


def test_a_run_under_way_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    folder = write_run(tmp_path, LEVELS, {"memgpt": [item(1, True), item(2, False)]}, finish=False)
    file = folder / "items" / "memgpt.jsonl"
    cut_off = file.read_bytes() + b'{"id": "item3", "pa'
    file.write_bytes(cut_off)
    assert "under way or was broken off" in page_of(folder).text
    assert row_of(markdown_rows(folder), "memgpt")[1:5] == ["2", "0", "0", "0.500 (0.000–1.000)"]
    assert file.read_bytes() == cut_off  # it is being written


def test_items_that_are_not_among_the_results_are_told(tmp_path: Path) -> None:
    folder = write_run(tmp_path, LEVELS, {"memgpt": [item(1, True)]})
    results = RunFolder(folder, LEVELS)
    results.add("memgpt", item(2, True))
    results.add("truncate", item(1, False))
    page = page_of(folder)
    assert "memgpt: the folder holds 1 more items than were scored" in page.text
    assert "scored from all the items that are there: truncate." in page.text
    assert row_of(markdown_rows(folder), "truncate")[1] == "1"


def renumbered(folder: Path, **changed: object) -> Path:
    file = levels(folder) / "results.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **changed}), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"format": 99}, r"is of format 99, .* reads format 2; upgrade pagefault\."),
        ({"format": 1}, r"is of format 1, .*; run its command again"),
        (
            {"strategies": {"memgpt": {"accuracy": 0.5}}},
            r"not what `pagefault bench` writes today \(.*memgpt\.n",
        ),
        ({"window": "wide"}, r"window: .*; run its command again, which asks nothing twice\."),
    ],
)
def test_results_of_another_format_are_refused(tmp_path: Path, changed: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        write(renumbered(tmp_path, **changed))
    assert not (tmp_path / "report.html").exists()


def test_one_run_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    levels(tmp_path / "good")
    renumbered(tmp_path / "odd", format=99)
    page = page_of(tmp_path)
    assert "Left out of this report:" in page.text
    assert "is of format 99" in page.text
    assert "measured (reference-policy)" in page.text


def test_the_command_writes_the_report_or_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def bench(folder: Path) -> object:
        with pytest.raises(SystemExit) as exit:
            main(["bench", "report", str(folder)])
        return exit.value.code

    levels(tmp_path / "run")
    assert bench(tmp_path / "run") == 0
    written = capsys.readouterr().out.split()
    assert [Path(file).name for file in written] == ["report.html", "report.md"]
    assert all(Path(file).is_file() for file in written)
    (tmp_path / "empty").mkdir()
    for nothing in ("empty", "missing"):
        assert "holds no run" in str(bench(tmp_path / nothing))
