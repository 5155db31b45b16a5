"""Claims about ways of training: Tables 3, 4 and 5. One training seed cannot decide them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from uscl_med3d.report.claims.build import (
    ADAPTFORMER,
    FULL,
    GENERAL,
    against,
    cells,
    main_rank,
    mean_over_datasets,
)
from uscl_med3d.report.claims.build import REGISTRY_SAM as SAM
from uscl_med3d.report.claims.build import REGISTRY_USCL as USCL
from uscl_med3d.report.claims.claim import Claim, bears_out, list_values, table3, table4, table5
from uscl_med3d.report.contrasts import Contrast
from uscl_med3d.report.tables.context import DATASETS, MODULES, Context
from uscl_med3d.report.tables.table4 import LORA

ENCODER, DECODER, BOTH = MODULES["encoder"], MODULES["decoder"], MODULES["both"]
SETS = tuple(DATASETS[name] for name in GENERAL)

Contrasts = Callable[[Context], list[Contrast]]


def _vcl(modules: str) -> Contrasts:
    def contrasts(context: Context) -> list[Contrast]:
        rank = main_rank(context)
        return [
            cells(
                context, (rank, modules, True), (rank, modules, False), f"{modules}: with minus without VCL"
            )
        ]

    return contrasts


def _vcl_paper(modules: str) -> str:
    with_vcl, without = table3(modules, True), table3(modules, False)
    return bears_out(with_vcl > without, f"{with_vcl:g} − {without:g} = {with_vcl - without:+.2f} points")


def _both_best(context: Context) -> list[Contrast]:
    rank = main_rank(context)
    return [
        cells(context, (rank, "both", True), (rank, one, True), f"both minus {one} alone")
        for one in ("encoder", "decoder")
    ]


def _both_best_paper() -> str:
    gains = [table3(BOTH, True) - table3(one, True) for one in (ENCODER, DECODER)]
    return bears_out(min(gains) > 0, f"both minus encoder, minus decoder: {list_values(gains)}")


def _decoder_worst(context: Context) -> list[Contrast]:
    rank = main_rank(context)
    return [
        cells(context, (rank, "encoder", True), (rank, "decoder", True), "encoder alone minus decoder alone")
    ]


def _decoder_worst_paper() -> str:
    gain = table3(ENCODER, True) - table3(DECODER, True)
    return bears_out(gain > 0, f"{table3(ENCODER, True):g} − {table3(DECODER, True):g} = {gain:+.2f} points")


def _differences(first: str, second: str, datasets: tuple[str, ...]) -> Contrasts:
    def contrasts(context: Context) -> list[Contrast]:
        click = context.last_point
        return [
            against(context, first, second, name, click, f"{first} minus {second}, {DATASETS[name]}")
            for name in datasets
        ]

    return contrasts


def _differences_paper(first: str, second: str, names: tuple[str, ...]) -> str:
    gains = [table4(first, name) - table4(second, name) for name in names]
    return bears_out(min(gains) > 0, f"{', '.join(names)}: {list_values(gains)}")


def _full_best(context: Context) -> list[Contrast]:
    click = context.last_point
    return [
        against(context, FULL, other, "us", click, f"full tuning minus {other}")
        for other in (SAM, USCL, ADAPTFORMER)
    ]


def _full_best_paper() -> str:
    gains = [table4(FULL, "3dus") - table4(other, "3dus") for other in ("baseline", LORA, ADAPTFORMER)]
    return bears_out(min(gains) > 0, f"full tuning minus baseline, LoRA, AdaptFormer: {list_values(gains)}")


def _forgets_least(context: Context) -> list[Contrast]:
    click = context.last_point
    return [
        against(context, USCL, other, name, click, f"LoRA minus {other}, {DATASETS[name]}")
        for other in (FULL, ADAPTFORMER)
        for name in GENERAL
    ]


def _forgets_least_paper() -> str:
    gains = [table4(LORA, name) - table4(other, name) for other in (FULL, ADAPTFORMER) for name in SETS]
    return bears_out(min(gains) > 0, f"LoRA minus full tuning, then minus AdaptFormer: {list_values(gains)}")


def _trade_off(context: Context) -> list[Contrast]:
    datasets = ("us", *GENERAL)
    return [
        mean_over_datasets(context, USCL, other, datasets, f"LoRA minus {other}, mean of four sets")
        for other in (SAM, FULL, ADAPTFORMER)
    ]


def _trade_off_paper() -> str:
    names = ("3dus", *SETS)
    means = {
        row: sum(table4(row, name) for name in names) / len(names)
        for row in ("baseline", LORA, FULL, ADAPTFORMER)
    }
    gap = table4(FULL, "3dus") - table4(LORA, "3dus")
    text = ", ".join(f"{row} {mean:.1f}" for row, mean in means.items())
    return bears_out(
        max(means, key=means.__getitem__) == LORA,
        f"means of four sets: {text}; on ultrasound full tuning is {gap:.2f} points better",
    )


def _ranks(context: Context) -> list[int]:
    grid = context.grid()
    return sorted(grid.ranks) if grid else []


def _rank32(context: Context) -> list[Contrast]:
    best = main_rank(context)
    return [
        cells(context, (best, "both", True), (rank, "both", True), f"rank {best} minus rank {rank}")
        for rank in _ranks(context)
        if rank != best
    ]


def _rank32_paper() -> str:
    gains = [table5(32, BOTH) - table5(rank, BOTH) for rank in (8, 16, 64)]
    return bears_out(min(gains) > 0, f"32 minus 8, 16, 64: {list_values(gains)}")


def _rising(context: Context) -> list[Contrast]:
    ranks = [rank for rank in _ranks(context) if rank <= main_rank(context)]
    return [
        cells(context, (more, "both", True), (less, "both", True), f"rank {more} minus rank {less}")
        for less, more in pairwise(ranks)
    ]


def _rising_paper() -> str:
    gains = [table5(more, BOTH) - table5(less, BOTH) for less, more in ((8, 16), (16, 32), (32, 64))]
    return bears_out(gains[0] > 0 and gains[1] > 0 > gains[2], f"8→16, 16→32, 32→64: {list_values(gains)}")


def _rank16(context: Context) -> list[Contrast]:
    margin = context.job.report.margin
    return [
        cells(
            context,
            (16, one, True),
            (32, one, True),
            f"{one}: rank 16 minus rank 32, plus {margin:g}",
            margin,
        )
        for one in ("encoder", "decoder")
    ]


def _rank16_paper() -> str:
    pairs = [(one, table5(16, one), table5(32, one)) for one in (ENCODER, DECODER)]
    text = "; ".join(f"{name} {low:g} {'>' if low > high else '<'} {high:g}" for name, low, high in pairs)
    return bears_out(all(low >= high for _, low, high in pairs), text)


def _rank64(context: Context) -> list[Contrast]:
    margin = context.job.report.margin
    return [
        cells(
            context, first, second, f"{one}: rank {first[0]} minus rank {second[0]}, plus {margin:g}", margin
        )
        for one in ("encoder", "decoder")
        for first, second in (((8, one, True), (64, one, True)), ((64, one, True), (8, one, True)))
    ]


def _rank64_paper() -> str:
    gaps = [table5(64, one) - table5(8, one) for one in (ENCODER, DECODER)]
    return bears_out(
        max(map(abs, gaps)) < 2, f"rank 64 minus rank 8, encoder and decoder: {list_values(gaps)}"
    )


def _claim(
    name: str, text: str, source: str, test: str, contrasts: Contrasts, paper: Callable[[], str]
) -> Claim:
    return Claim(name, text, source, test, paper, contrasts, about_training=True)


ABOVE = "Paired differences on ultrasound after the last click; all above 0 confirm, one below 0 refutes."
ELSEWHERE = "Paired differences on each general-domain set after the last click; all above 0 confirm."

TRAINING_CLAIMS = (
    _claim(
        "vcl-both",
        "VCL pretraining improves tuning of encoder and decoder (by 3.16 %).",
        "Table 3 (the text says Table 5)",
        ABOVE,
        _vcl("both"),
        lambda: _vcl_paper(BOTH),
    ),
    _claim(
        "vcl-encoder",
        "VCL pretraining improves tuning of the encoder alone.",
        "Table 3",
        ABOVE,
        _vcl("encoder"),
        lambda: _vcl_paper(ENCODER),
    ),
    _claim(
        "vcl-decoder",
        "VCL pretraining improves tuning of the decoder alone.",
        "Table 3",
        ABOVE,
        _vcl("decoder"),
        lambda: _vcl_paper(DECODER),
    ),
    _claim(
        "modules-both",
        "Encoder and decoder must be tuned together.",
        "Table 3, section 3.3",
        ABOVE,
        _both_best,
        _both_best_paper,
    ),
    _claim(
        "modules-decoder",
        "Tuning the decoder alone is the worst choice.",
        "Table 3, section 3.3",
        ABOVE,
        _decoder_worst,
        _decoder_worst_paper,
    ),
    _claim(
        "full-best", "Full tuning is the best on ultrasound.", "Table 4", ABOVE, _full_best, _full_best_paper
    ),
    _claim(
        "full-forgets",
        "Full tuning forgets what the base model knew outside ultrasound.",
        "Table 4",
        ELSEWHERE,
        _differences(SAM, FULL, GENERAL),
        lambda: _differences_paper("baseline", FULL, SETS),
    ),
    _claim(
        "adaptformer-gains",
        "AdaptFormer improves the base model on ultrasound (by 15.41 %).",
        "Table 4",
        ABOVE,
        _differences(ADAPTFORMER, SAM, ("us",)),
        lambda: _differences_paper(ADAPTFORMER, "baseline", ("3dus",)),
    ),
    _claim(
        "adaptformer-forgets",
        "AdaptFormer forgets what the base model knew outside ultrasound.",
        "Table 4",
        ELSEWHERE,
        _differences(SAM, ADAPTFORMER, GENERAL),
        lambda: _differences_paper("baseline", ADAPTFORMER, SETS),
    ),
    _claim(
        "lora-beats-adaptformer",
        "LoRA beats AdaptFormer on ultrasound.",
        "Table 4",
        ABOVE,
        _differences(USCL, ADAPTFORMER, ("us",)),
        lambda: _differences_paper(LORA, ADAPTFORMER, ("3dus",)),
    ),
    _claim(
        "lora-forgets-least",
        "LoRA forgets less than full tuning and than AdaptFormer.",
        "Table 4",
        ELSEWHERE,
        _forgets_least,
        _forgets_least_paper,
    ),
    _claim(
        "lora-trade-off",
        "LoRA is the best trade-off between ultrasound and other domains.",
        "Table 4, section 3.3",
        "The mean of the four sets minus that of every other row is above 0 (the paper gives no measure).",
        _trade_off,
        _trade_off_paper,
    ),
    _claim(
        "rank-32-best",
        "Rank 32 is the best rank for encoder and decoder.",
        "Table 5",
        ABOVE,
        _rank32,
        _rank32_paper,
    ),
    _claim(
        "rank-rising",
        "For encoder and decoder, Dice rises with the rank up to 32.",
        "Table 5",
        ABOVE,
        _rising,
        _rising_paper,
    ),
    _claim(
        "rank-16-single",
        "For a single module, rank 16 matches or beats rank 32.",
        "Table 5",
        "The difference plus the margin (params report.margin) is above 0 for encoder and for decoder.",
        _rank16,
        _rank16_paper,
    ),
    _claim(
        "rank-64-single",
        "For a single module, rank 64 falls back to the level of rank 8.",
        "Table 5",
        "Rank 64 and rank 8 differ by less than the margin (params report.margin), for encoder and decoder.",
        _rank64,
        _rank64_paper,
    ),
)
