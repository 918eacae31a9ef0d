"""The figures as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.contenders import Contender
from benchmarks.machine import describe_machine, describe_versions, installed_extras
from benchmarks.rounds import Measured, Rejected
from benchmarks.rows import Measure, Row
from benchmarks.statistics import CONFIDENCE, compare

Results = Sequence[tuple[Row, int, "Measured | Rejected"]]  # The number is that of the workers.


def render(results: Results, contenders: Sequence[Contender]) -> str:
    """Return a page that says what was measured, on what and how.

    The last contender is the one that is compared with each of the others.
    """
    *references, subject = contenders
    blocks = [_context(contenders), "\n".join(_table(results, references, subject)), *_notes(results)]
    return "\n\n".join(blocks) + "\n"


def _context(contenders: Sequence[Contender]) -> str:
    versions = describe_versions(("pytest", *(one.distribution for one in contenders if one.plugins), "networkx"))
    extras = ", ".join(installed_extras()) or "nothing"
    commands = "\n".join(
        f"  - {one.name}: `python -m pytest {' '.join(one.arguments('N'))} SUITE`" for one in contenders
    )
    return "\n".join(
        (
            f"- Machine: {describe_machine()}.",
            f"- Versions: {versions}; of what networkx's tests can use: {extras}.",
            "- Commands, in a fresh process and an empty folder:",
            commands,
            "- A figure is the median over the rounds, with the smallest and the largest one behind it.",
            "- A ratio is the median of the ratios within the rounds; below 1 is better.",
            "- Behind it stands its 95 % interval, made of order statistics.",
            "- A warm-up round goes first and is not counted; who begins changes from round to round.",
        )
    )


def _table(results: Results, references: Sequence[Contender], subject: Contender) -> Iterator[str]:
    names = [one.name for one in (*references, subject)]
    ratios = [f"{subject.name} / {reference.name}" for reference in references]
    heads = ["row", "`-n`", *names, *ratios, "rounds"]
    yield _line(heads)
    yield _line(["---"] * len(heads))
    for row, processes, result in results:
        start = [row.title, str(processes)]
        match result:
            case Rejected():
                yield _line([*start, *["-"] * (len(heads) - 3), "not counted"])
            case Measured(values):
                figures = [_figure(values[name], row.measure.value) for name in names]
                cells = [_ratio(row, values, subject, reference) for reference in references]
                yield _line([*start, *figures, *cells, str(result.rounds)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(values: Sequence[float], unit: str) -> str:
    digits = 0 if unit == "MiB" else 2
    median, low, high = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{median} {'s' if unit == 'seconds' else unit} ({low} to {high})"


def _ratio(row: Row, values: Mapping[str, Sequence[float]], subject: Contender, reference: Contender) -> str:
    comparison = compare(values[subject.name], values[reference.name])
    interval = comparison.interval
    text = f"{comparison.median:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
    if subject.name == "parpool" and reference.name in row.goals:
        text += f", goal {row.goals[reference.name]:.2f}"
    return text


def _notes(results: Results) -> Iterator[str]:
    for row, _, result in results:
        match result:
            case Rejected(reason):
                yield f"**{row.title} is not counted:** {reason}."
            case Measured():
                pass
    beside = [name for name in installed_extras() if not name.startswith("numpy ")]
    if beside and any(row.measure is Measure.MEMORY for row, _, _ in results):
        yield f"The goal for memory is for numpy alone beside networkx; here there is also {', '.join(beside)}."
    counts = sorted({result.rounds for _, _, result in results if isinstance(result, Measured)})
    for count in counts:
        # The interval's probability depends on the number of rounds alone, so any values of that number will do.
        coverage = compare([1.0] * count, [1.0] * count).interval.coverage
        if coverage < CONFIDENCE:
            yield (
                f"With {count} {'round' if count == 1 else 'rounds'} the interval is the whole range of the ratios, "
                f"and holds the median with a probability of {coverage:.1%}."
            )
