"""Encoder benchmark: this implementation against a padded reference that does what upstream does.

Every measurement runs in a process of its own, with the same seeded weights and input on both sides. The
numbers depend on the machine and on its load, so they are a report, never a test. See docs/encoder.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import atomic, write_text

_REFERENCE = Path(__file__).resolve().parents[3] / "tests" / "unit" / "nets" / "padded_reference.py"
_SIDES = ("reference", "ours")
_STEPS = [
    "forward",
    "forward_backward",
    "lora_encoder",
    "lora_decoder",
    "lora_both",
    "evaluation",
    "further_click",
]
_FULL = [
    *(("vit_b_ori", 1, workload) for workload in _STEPS),
    *(("vit_b_ori", 2, workload) for workload in _STEPS[:2]),
    *(("phantom", 4, workload) for workload in _STEPS),
]
_QUICK = [("phantom", 1, workload) for workload in _STEPS]
_ENCODERS = {
    "reference": "SAM-Med3D, padded as upstream",
    "ours": "SAM-Med3D, this project",
    "fastsam3d": "FastSAM3D student",
    "fastsam3d_segments": "FastSAM3D student, sparse attention",
}
_NO_HALF = ("forward_bfloat16", "reference")
_COLUMNS = [
    *("preset", "batch", "workload", "side", "threads", "runs", "cpu_s", "wall_s", "peak_mb", "before_mb"),
    *("gflop", "gflops", "matmul_gflops", "of_matmul", "error"),
]
# (label, workload, figure, required, aimed at) for vit_b_ori, batch 1
_GOALS = [
    ("forward, CPU-seconds, reference ÷ ours", "forward", "cpu_s", 4.5, 8),
    ("forward, wall, reference ÷ ours", "forward", "wall_s", 10, 20),
    ("forward + backward, CPU-seconds, reference ÷ ours", "forward_backward", "cpu_s", 4.5, 7),
    ("forward + backward, wall, reference ÷ ours", "forward_backward", "wall_s", 8, 15),
    ("forward + backward, peak memory, reference ÷ ours", "forward_backward", "peak_mb", 3, 5),
    ("forward, achieved ÷ matrix-product rate", "forward", "of_matmul", 0.6, 0.85),
    ("forward, ours float32 ÷ ours bfloat16, wall", "forward_bfloat16", "bfloat16", 1.8, 3.5),
    ("further click, achieved ÷ matrix-product rate", "further_click", "of_matmul", 0.3, 0.6),
]

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, then write `encoder` or `fastsam3d` (.csv and .md) to the output folder."""
    parser = argparse.ArgumentParser(prog="uscl-med3d bench", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    parser.add_argument("--reference", type=Path, default=_REFERENCE, help="file of the padded reference")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3, help="least timed runs after the first")
    parser.add_argument(
        "--quick", action="store_true", help="small network only: a minute instead of a quarter of an hour"
    )
    parser.add_argument(
        "--fastsam3d", action="store_true", help="FastSAM3D's encoder against SAM-Med3D's instead (minutes)"
    )
    options = parser.parse_args(arguments)
    if not options.reference.is_file():
        raise InputError(
            file=options.reference,
            found="no such file",
            expected="the padded reference of the tests",
            remedy="run the benchmark in a checkout of the repository, or give --reference",
        )
    load = os.getloadavg()[0]
    if options.fastsam3d:
        name, rows = "fastsam3d", measure_encoders(options)
        text = describe_encoders(rows, options, load)
    else:
        name = "encoder_quick" if options.quick else "encoder"
        rows = measure_all(_QUICK if options.quick else _FULL, options)
        text = describe(rows, options, load)
    write_csv(options.out / f"{name}.csv", rows)
    write_text(options.out / f"{name}.md", text)
    print(f"{options.out / name}.md")


def measure_all(plan: list[tuple[str, int, str]], options: argparse.Namespace) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for preset, batch, workload in plan:
            outputs = {side: Path(folder) / f"{preset}-{batch}-{workload}-{side}.pt" for side in _SIDES}
            pair = [measure(preset, batch, workload, side, options, outputs[side]) for side in _SIDES]
            for row in pair:
                row["error"] = difference(outputs["ours"], outputs["reference"])
            rows += pair
            if workload == "forward" and has_bfloat16():
                rough = Path(folder) / "bfloat16.pt"
                row = measure(preset, batch, "forward_bfloat16", "ours", options, rough)
                rows.append({**row, "error": difference(rough, outputs["ours"])})
    return rows


def measure_encoders(options: argparse.Namespace) -> list[Row]:
    """The full-size encoders of SAM-Med3D and FastSAM3D, and one further click, which they share."""
    workloads = ["forward", *(["forward_bfloat16"] if has_bfloat16() else [])]
    plan = [(workload, side) for workload in workloads for side in _ENCODERS if (workload, side) != _NO_HALF]
    with tempfile.TemporaryDirectory() as folder:
        return [
            measure("vit_b_ori", 1, workload, side, options, Path(folder) / "output.pt")
            for workload, side in [*plan, ("further_click", "ours")]
        ]


def measure(
    preset: str, batch: int, workload: str, side: str, options: argparse.Namespace, output: Path
) -> Row:
    """Run one worker process."""
    job = {
        "preset": preset,
        "batch": batch,
        "workload": workload,
        "side": side,
        "threads": options.threads,
        "repeats": options.repeats,
        "reference": str(options.reference),
        "output": str(output),
    }
    print(f"{preset} batch {batch} {workload}: {side}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "uscl_med3d.bench.worker", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the benchmark process failed ({preset}, {workload}, {side}):\n{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    result["gflops"] = result["gflop"] / result["wall_s"]
    result["of_matmul"] = result["gflops"] / result["matmul_gflops"]
    return {name: job.get(name, result.get(name, "")) for name in _COLUMNS}


def difference(found: Path, expected: Path) -> float | str:
    """Largest difference relative to the largest value, or nothing for workloads without output."""
    import torch

    if not (found.is_file() and expected.is_file()):
        return ""
    a, b = (torch.load(path, weights_only=True) for path in (found, expected))
    return float((a - b).abs().max() / b.abs().max())


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; emulated, its speed says nothing."""
    cpu = Path("/proc/cpuinfo")
    return cpu.is_file() and any(flag in cpu.read_text() for flag in ("avx512_bf16", "amx_bf16"))


def write_csv(path: Path, rows: list[Row]) -> None:
    with atomic(path) as temporary, open(temporary, "w", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def describe(rows: list[Row], options: argparse.Namespace, load: float) -> str:
    """The report in Markdown."""
    lines = [
        "# Encoder benchmark",
        "",
        "Written by `uscl-med3d bench`. docs/encoder.md has the definitions, the CSV beside it all numbers.",
        "",
        *describe_machine(options, load),
        "- float32 unless said otherwise; one process per measurement, same weights and input on both sides",
        "",
        "## Reference against ours",
        "",
        "| network | batch | workload | CPU s, reference | ours | ratio | wall s, reference | ours | ratio "
        "| peak MB, reference | ours | ratio | difference |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    found = {(row["preset"], row["batch"], row["workload"], row["side"]): row for row in rows}
    for (preset, batch, workload, side), ours in found.items():
        reference = found.get((preset, batch, workload, "reference"))
        if side != "ours" or reference is None:
            continue
        cells = [preset, str(batch), workload.replace("_", " ")]
        for figure, digits in (("cpu_s", 3), ("wall_s", 3), ("peak_mb", 0)):
            a, b = reference[figure], ours[figure]
            cells += [f"{a:.{digits}f}", f"{b:.{digits}f}", f"{a / b:.1f}"]
        error = ours["error"]
        lines.append("| " + " | ".join([*cells, f"{error:.1e}" if error != "" else ""]) + " |")
    lines += ["", "## Ours against the machine", "", *describe_rates(rows), ""]
    full_size = [row for row in rows if row["preset"] == "vit_b_ori" and row["batch"] == 1]
    if full_size:
        lines += ["## Goals, vit_b_ori batch 1", "", *describe_goals(full_size), ""]
    return "\n".join(lines)


def describe_rates(rows: list[Row]) -> list[str]:
    lines = [
        "The matrix-product rate is that of the same process, before and after, in float32 at 2048³.",
        "",
        "| network | batch | workload | GFLOP | wall s | GFLOP/s | matrix product | quotient | difference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row["side"] == "ours" and row["workload"] in ("forward", "forward_bfloat16", "further_click"):
            error = f"{row['error']:.1e}" if row["error"] != "" else ""
            lines.append(
                f"| {row['preset']} | {row['batch']} | {row['workload'].replace('_', ' ')} "
                f"| {row['gflop']:.2f} | {row['wall_s']:.4f} | {row['gflops']:.0f} "
                f"| {row['matmul_gflops']:.0f} | {row['of_matmul']:.2f} | {error} |"
            )
    return lines


def describe_goals(rows: list[Row]) -> list[str]:
    """What was asked of the implementation, and what this run found."""
    found = {(row["workload"], row["side"]): row for row in rows}
    lines = ["| figure | found | required | aim |", "|---|---|---|---|"]
    for label, workload, figure, required, aim in _GOALS:
        ours = found.get((workload, "ours"))
        if ours is None:
            lines.append(f"| {label} | not measured on this machine | {required} | {aim} |")
            continue
        if figure == "of_matmul":
            value = ours[figure]
        elif figure == "bfloat16":
            value = found["forward", "ours"]["wall_s"] / ours["wall_s"]
        else:
            value = found[workload, "reference"][figure] / ours[figure]
        lines.append(f"| {label} | {value:.2f} | {required} | {aim} |")
    return lines


def describe_encoders(rows: list[Row], options: argparse.Namespace, load: float) -> str:
    """The comparison of encoders in Markdown."""
    found = {(row["workload"], row["side"]): row for row in rows}
    click = found["further_click", "ours"]
    lines = [
        "# FastSAM3D against SAM-Med3D",
        "",
        "Written by `uscl-med3d bench --fastsam3d`; docs/methods.md says what is compared. 128³ voxels, batch 1, "
        "random weights, one process per measurement.",
        "",
        *describe_machine(options, load),
        f"- a click on an encoded volume takes {click['wall_s']:.3f} s, the same for all",
        "- quotients: seconds of SAM-Med3D in float32, padded or ours, over those of the row; first click = "
        "encoder and one click",
        "",
        "| encoder | precision | GFLOP | CPU s | wall s | peak MB | padded ÷ this, CPU | wall "
        "| ours ÷ this, CPU | wall | first click, padded ÷ this, wall | ours ÷ this |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (workload, side), row in found.items():
        if workload == "further_click":
            continue
        bases = [found["forward", base] for base in ("reference", "ours")]
        ratios = [base[figure] / row[figure] for base in bases for figure in ("cpu_s", "wall_s")]
        ratios += [(base["wall_s"] + click["wall_s"]) / (row["wall_s"] + click["wall_s"]) for base in bases]
        cells = [
            _ENCODERS[side],
            "float32" if workload == "forward" else "bfloat16",
            f"{row['gflop']:.1f}",
            f"{row['cpu_s']:.3f}",
            f"{row['wall_s']:.3f}",
            f"{row['peak_mb']:.0f}",
            *(f"{ratio:.2f}" for ratio in ratios),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    claim = "FastSAM3D's own figure is 8.75 times faster than 3D SAMs, on an A100, against upstream's padded code."
    return "\n".join([*lines, "", claim, ""])


def describe_machine(options: argparse.Namespace, load: float) -> list[str]:
    """What every report says about its measurements."""
    import torch

    return [
        f"- machine: {cpu_name()}, {options.threads} threads; load average before the run {load:.2f}",
        f"- torch {torch.__version__}, medians of at least {options.repeats} runs after an untimed one",
    ]


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    cpu = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in cpu.read_text().splitlines() if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
