"""Calibration: the scale of an embedder for which none has been measured, from pairs of sentences.

Each language has topics, each of which is said twice. Two sentences on one topic say the same; two on
different topics are unrelated. Quantiles of both kinds' cosines, each the mean over the languages, make the
scale. Leaves out measuring how well an embedder retrieves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pagefault.embedders import Scale, Vectors

__all__ = ["PAIRS", "scale_of", "sentences"]

_UNRELATED = 0.95  # quantile of unrelated pairs: the floor
_SAME = 0.25  # quantile of pairs that say the same
# Of the way from the one to the other: as for the shipped embedder, whose values were tuned on questions.
_STRONG, _SPREAD = 0.7, 0.5
_LEAST = 0.02  # of that way

PAIRS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "en": (
        ("My sister moved to Lisbon last spring.", "In spring my sister went to live in Lisbon."),
        ("The printer on the second floor is broken again.", "Once more the second floor's printer fails."),
        ("I am allergic to peanuts.", "Eating peanuts makes me ill; I have an allergy."),
        ("We should lower the price of the small package.", "Let us make the small package cheaper."),
        ("The museum opens at ten on Sundays.", "On Sundays the museum's doors open at ten o'clock."),
        ("He plays the cello in an amateur orchestra.", "He is a cellist in an orchestra of amateurs."),
        ("Water the tomatoes early in the morning.", "Tomato plants should be given water at dawn."),
        ("The train to Geneva was forty minutes late.", "We reached Geneva forty minutes late by train."),
        ("Her doctor told her to sleep more.", "She was advised by her physician to get more sleep."),
        ("The backup failed because the disk was full.", "No disk space was left, so the backup broke."),
        ("They adopted an old grey dog.", "An elderly grey dog was taken in by them."),
        ("Please never call me before noon.", "Do not phone me in the morning."),
    ),
    "de": (
        ("Im Frühling zog meine Schwester nach Lissabon.", "Meine Schwester lebt seit Frühjahr in Lissabon."),
        ("Der Drucker im zweiten Stock ist kaputt.", "Im zweiten Stock druckt das Gerät nicht mehr."),
        ("Ich vertrage keine Erdnüsse.", "Gegen Erdnüsse bin ich allergisch."),
        ("Das Museum öffnet sonntags um zehn.", "Am Sonntag macht das Museum um zehn Uhr auf."),
        ("Er spielt Cello in einem Orchester.", "Im Orchester ist er Cellist."),
        ("Der Zug nach Genf hatte Verspätung.", "Unser Zug kam zu spät in Genf an."),
    ),
    "fr": (
        ("Ma sœur s'est installée à Lisbonne au printemps.", "Depuis le printemps, ma sœur vit à Lisbonne."),
        ("L'imprimante du deuxième étage est en panne.", "Au deuxième étage, l'imprimante ne marche plus."),
        ("Je suis allergique aux cacahuètes.", "Les cacahuètes me rendent malade, j'y suis allergique."),
        ("Le musée ouvre à dix heures le dimanche.", "Le dimanche, on peut entrer au musée à dix heures."),
        ("Il joue du violoncelle dans un orchestre.", "Il est violoncelliste dans un orchestre."),
        ("Le train pour Genève avait du retard.", "Notre train est arrivé en retard à Genève."),
    ),
    "es": (
        ("Mi hermana se mudó a Lisboa en primavera.", "Desde la primavera mi hermana vive en Lisboa."),
        ("La impresora del segundo piso está rota.", "En el segundo piso la impresora no funciona."),
        ("Soy alérgico a los cacahuetes.", "Los cacahuetes me dan alergia."),
        ("El museo abre a las diez los domingos.", "Los domingos el museo abre sus puertas a las diez."),
        ("Toca el violonchelo en una orquesta.", "Es violonchelista de una orquesta."),
        ("El tren a Ginebra llegó con retraso.", "Nuestro tren llegó tarde a Ginebra."),
    ),
    "ru": (
        ("Моя сестра весной переехала в Лиссабон.", "С весны моя сестра живёт в Лиссабоне."),
        ("Принтер на втором этаже сломан.", "На втором этаже не работает принтер."),
        ("У меня аллергия на арахис.", "Я не могу есть арахис: у меня на него аллергия."),
        ("По воскресеньям музей открывается в десять.", "В воскресенье музей открыт с десяти часов."),
        ("Он играет на виолончели в оркестре.", "Он виолончелист в оркестре."),
        ("Поезд в Женеву опоздал.", "Наш поезд пришёл в Женеву с опозданием."),
    ),
    "zh": (
        ("我姐姐春天搬到了里斯本。", "从春天开始，我姐姐住在里斯本。"),
        ("二楼的打印机坏了。", "二楼那台打印机不能用了。"),
        ("我对花生过敏。", "我不能吃花生，会过敏。"),
        ("博物馆星期天十点开门。", "每逢周日，博物馆十点钟开放。"),
        ("他在一个乐团里拉大提琴。", "他是乐团的大提琴手。"),
        ("去日内瓦的火车晚点了。", "我们的火车很晚才到日内瓦。"),
    ),
    "ja": (
        ("姉は春にリスボンへ引っ越しました。", "春から姉はリスボンに住んでいます。"),
        ("二階のプリンターが壊れています。", "二階のプリンターは使えません。"),
        ("私はピーナッツのアレルギーがあります。", "ピーナッツを食べるとアレルギーが出ます。"),
        ("博物館は日曜日は十時に開きます。", "日曜日、博物館の開館は十時です。"),
        ("彼はオーケストラでチェロを弾いています。", "彼はオーケストラのチェロ奏者です。"),
        ("ジュネーブ行きの列車が遅れました。", "私たちの列車は遅れてジュネーブに着きました。"),
    ),
}  # fmt: skip
"""Sentences that say the same, by language."""


def sentences(languages: Iterable[str] = PAIRS) -> list[str]:
    """The sentences to embed, those of a pair beside each other. ``languages``: those the embedder knows."""
    return [sentence for language in languages for pair in PAIRS[language] for sentence in pair]


def scale_of(vectors: Vectors, languages: Iterable[str] = PAIRS) -> Scale:
    """The scale of an embedder that gave these vectors for the sentences. One that does not tell what is said
    twice from what is unrelated is no evidence by itself."""
    import numpy as np

    quantiles: list[tuple[float, float]] = []
    start = 0
    for language in languages:
        stop = start + 2 * len(PAIRS[language])
        cosines = vectors[start:stop] @ vectors[start:stop].T
        topic = np.arange(stop - start) // 2
        same = (topic[:, np.newaxis] == topic) & ~np.eye(stop - start, dtype=np.bool_)
        unrelated = cosines[topic[:, np.newaxis] != topic]
        quantiles.append(
            (float(np.quantile(unrelated, _UNRELATED)), float(np.quantile(cosines[same], _SAME)))
        )
        start = stop
    floor, near = np.mean(quantiles, axis=0).tolist()
    way = max(near - floor, _LEAST)
    strong = floor + _STRONG * way if near - floor > _LEAST else 1.0
    return Scale(floor, strong, _SPREAD * way)
