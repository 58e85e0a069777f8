"""The store suite's part on search and vectors: what is found, what it scores, what waits for a vector."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import numpy as np

from pagefault.message_meta import MessageMeta
from pagefault.storage import Filter, Match
from pagefault.storage.terms import terms
from pagefault.testing.store_opening import NOW, WILD, StoreOpening, said
from pagefault.types import Passage, Role

__all__ = ["SearchConformance"]


class SearchConformance(StoreOpening):
    def test_a_row_with_any_of_the_terms_is_found_newest_first(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            texts = ["I live in Paris", "the weather", "Paris and London", "my house in London"]
            db.write(lambda tx: tx.append(ana, [said(text) for text in texts]))
            assert db.found(ana, "recall", "paris london") == [4, 3, 1]
            assert db.found(ana, "recall", "lives") == [1]
            assert db.found(ana, "recall", "berlin") == []

    def test_without_anything_to_match_all_that_passes_is_found(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.append(ana, [said("a"), said("b", Role.CALL), said(" "), said("d")]))
            assert db.found(ana, "recall") == [4, 3, 1]
            assert db.search(ana, "recall", Match(exact=((),)), Filter(before=2)).numbers == [1]

    def test_more_of_the_terms_and_rarer_ones_score_higher(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            texts = ["red", "red", "red blue", "blue green", "green green green", "other words here"]
            db.write(lambda tx: tx.append(ana, [said(text) for text in texts]))
            match = Match(("red", "blue", "green"))
            found = db.search(ana, "recall", match)
            score = dict(zip(found.numbers, found.lexical, strict=True))
            assert sorted(score) == [1, 2, 3, 4, 5]
            assert score[4] > score[3] > score[1] == score[2] > 0
            assert score[5] > score[1]
            assert np.isnan(found.cosine).all()

    def test_bm25_is_the_published_formula_over_this_agents_rows(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            db.write(lambda tx: tx.append(bob, [said("red red red") for _ in range(20)]))
            db.write(lambda tx: tx.append(ana, [said("red blue"), said("green blue one two")]))
            found = db.search(ana, "recall", Match(("red",)))
            # N = 2, n = 1, tf = 1, length 2, mean length 3, k1 = 1.2, b = 0.75
            assert np.isclose(found.lexical[0], np.log(2) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3)))

    def test_the_whole_of_a_query_is_a_row_of_mean_length_that_has_each_unit_once(
        self, tmp_path: Path
    ) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.append(ana, [said("red blue"), said("green blue")]))
            match = Match(("red", "blue", "absent"))
            found = db.read(lambda tx: tx.search(ana, "recall", match, Filter(), "f"))
            assert np.isclose(found.whole, np.log(2) + np.log(1.2) + np.log(6))
            assert np.isclose(found.lexical[0], np.log(2) + np.log(1.2))

    def test_texts_are_read_by_number_as_they_are_indexed(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            db.write(lambda tx: tx.append(ana, [said("one"), said("two"), said("three")]))
            db.write(lambda tx: tx.insert_passage(ana, Passage("body", NOW, title="Head")))
            db.write(lambda tx: tx.insert_passage(ana, Passage("alone", NOW)))
            read = db.read(lambda tx: tx.texts(ana, "recall", [3, 1, 99]))
            assert {number: terms(text) for number, text in read.items()} == {3: ["three"], 1: ["one"]}
            read = db.read(lambda tx: tx.texts(ana, "archival", [2, 1]))
            assert {number: terms(text) for number, text in read.items()} == {
                1: ["head", "bodi"],
                2: ["alon"],
            }
            assert not db.read(lambda tx: tx.texts(bob, "recall", [1]))

    def test_exact_text_must_be_there_in_order_and_adjacent(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            code = "7f3a9b12-55aa-4c1e-9d2e-0123456789ab"
            texts = [f"the key is {code}.", f"the key is {code[:-1]}c", "key the is", "9d2e 4c1e", "the key"]
            db.write(lambda tx: tx.append(ana, [said(text) for text in texts]))
            assert db.found(ana, "recall", "", code) == [1]
            assert db.found(ana, "recall", "", "9d2e") == [4, 2, 1]
            assert db.found(ana, "recall", "", "the key is") == [2, 1]
            assert db.found(ana, "recall", "", "key is", code) == [1]
            assert db.found(ana, "recall", "weather", "the key is") == [2, 1]
            assert db.found(ana, "recall", "the key is", "no such") == []

    def test_scripts_without_spaces_are_searched(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            texts = ["我住在上海，在银行工作", "海上有船", "나는 서울에 산다", "東京に住んでいます"]
            db.write(lambda tx: tx.append(ana, [said(text) for text in texts]))
            assert db.found(ana, "recall", "上海") == [2, 1]  # 海上 has both characters
            assert db.found(ana, "recall", "", "上海") == [1]
            assert db.found(ana, "recall", "", "서울") == [3]
            assert db.found(ana, "recall", "", "東京") == [4]

    def test_signs_numbers_and_accents_are_searched(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            texts = [
                "I love 🍕",
                "🫠 melting 👍🏽",
                "room 42b, 1999",
                "Café Ærø",
                "İstanbul",
                "½ cup",
                "क्षि",
                "☎ 5",
            ]
            db.write(lambda tx: tx.append(ana, [said(text) for text in texts]))
            for query, number in (
                ("🍕", 1),
                ("🫠", 2),
                ("👍🏽", 2),
                ("42b", 3),
                ("1999", 3),
                ("cafe ærø", 4),
            ):
                assert db.found(ana, "recall", "", query) == [number], query
            for query, number in (("İSTANBUL", 5), ("½", 6), ("क्षि", 7), ("☎", 8)):
                assert db.found(ana, "recall", "", query) == [number], query

    def test_no_text_is_taken_for_query_syntax(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.append(ana, [said(text) for text in WILD]))
            for query in WILD:
                if query.strip():
                    assert db.found(ana, "recall", query)
            raw = ['"', "AND", "x*", "a OR b", "NEAR(", "col:", "^", "'", "-", ")", "\x00", "a·b", "r1·word"]
            match = Match(tuple(raw), ((raw[0], raw[3]),))
            assert db.search(ana, "recall", match).numbers == []
            db.search(ana, "recall", Match(tuple(raw)))

    def test_the_filter_comes_before_everything(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            roles = [Role.USER, Role.ASSISTANT, Role.EVENT, Role.CALL, Role.ALERT, Role.USER]
            rows = [said("same words", role, hours=hour) for hour, role in enumerate(roles)]
            db.write(lambda tx: tx.append(ana, rows))
            hour = [NOW + timedelta(hours=n) for n in range(6)]
            for query in ("words", ""):
                chosen = [
                    Filter(),
                    Filter(roles=(Role.CALL, Role.ALERT)),
                    Filter(since=hour[1]),
                    Filter(until=hour[2]),
                    Filter(since=hour[1], until=hour[2]),
                    Filter(before=3),
                    Filter(roles=()),
                ]
                found = [db.found(ana, "recall", query, filter=filter) for filter in chosen]
                assert found == [[6, 3, 2, 1], [5, 4], [6, 3, 2], [2, 1], [2], [2, 1], []]

    def test_all_tags_must_be_there(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            for tags in (("a",), ("a", "b"), (), ("b", "a", "c")):
                db.write(lambda tx, t=tags: tx.insert_passage(ana, Passage("words", NOW, t)))
            for tags, numbers in (
                (("a", "b"), [4, 2]),
                (("a",), [4, 2, 1]),
                (("a", "a"), [4, 2, 1]),
                (("x",), []),
            ):
                assert db.found(ana, "archival", "words", filter=Filter(tags=tags)) == numbers
            assert db.found(ana, "archival", filter=Filter(tags=("c",), roles=())) == [4]

    def test_many_tags_on_one_passage_and_many_over_all(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            tags = tuple(f"tag {number}" for number in range(10_000))
            db.write(lambda tx: tx.insert_passage(ana, Passage("words", NOW, tags)))
            db.write(lambda tx: tx.insert_passage(ana, Passage("words", NOW, ("tag 7", "标签"))))
            assert db.read(lambda tx: tx.passage(ana, 1)) == Passage("words", NOW, tags, number=1)
            for chosen, numbers in ((tags, [1]), (("tag 7",), [2, 1]), (("标签",), [2]), (("tag",), [])):
                assert db.found(ana, "archival", "words", filter=Filter(tags=chosen)) == numbers

    def test_a_time_is_the_same_in_every_zone(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            tokyo, lisbon = timezone(timedelta(hours=9)), timezone(timedelta(hours=-1))
            rows = [replace(said("words"), at=NOW.astimezone(tokyo)), said("words", hours=1)]
            db.write(lambda tx: tx.append(ana, rows))
            assert db.read(lambda tx: tx.messages(ana))[0].at == NOW
            later = (NOW + timedelta(hours=1)).astimezone(lisbon)
            assert db.found(ana, "recall", "words", filter=Filter(until=later)) == [1]
            assert db.found(ana, "recall", "words", filter=Filter(since=later)) == [2]

    def test_who_spoke_is_known_and_a_name_too_long_is_no_name(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            names = ["Zoë", "bob", "", "李雷", "bob", "x" * 9000]
            rows = [replace(said("words"), speaker=name) for name in names]
            assert db.write(lambda tx: tx.append(ana, rows))[5].speaker == names[5]
            assert db.read(lambda tx: tx.speakers(ana)) == ["Zoë", "bob", "李雷"]
            found = db.read(lambda tx: tx.search(ana, "recall", Match(("word",)), Filter(), "f"))
            assert [found.speakers[index] for index in found.speaker] == names

    def test_what_was_recalled_and_read_again_is_not_indexed(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            rows = [
                said("the secret", Role.RESULT),
                said("the secret", Role.RESULT, meta=MessageMeta(sources=("m1",))),
            ]
            db.write(lambda tx: tx.append(ana, rows))
            results = Filter(roles=(Role.RESULT,))
            assert db.found(ana, "recall", "secret", filter=results) == [1]
            assert db.found(ana, "recall", "", "the secret", filter=results) == [1]
