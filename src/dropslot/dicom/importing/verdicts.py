"""The verdict on the completeness of a series, with its evidence.

A folder alone cannot tell whether a series is complete. So the verdict is graded, and never better than what proves it:

- VERIFIED: an archive listed the instances (C-FIND), and the series has exactly these, each whole;
- CONSISTENT: the headers state how many images there are, and there are as many, each whole, of one patient and study,
  at regular distances where positions are known;
- UNKNOWN: nothing says how many there should be, or what says so contradicts itself;
- INCOMPLETE: something is missing, damaged or mixed up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from dropslot.core.names import escape
from dropslot.core.showing.quantities import counted
from dropslot.dicom.importing.found import Instance

RANKS = ("INCOMPLETE", "UNKNOWN", "CONSISTENT", "VERIFIED")
_MOST_SHOWN = 5
_IRREGULAR = 0.1  # of the usual distance between slices


class Verdict(NamedTuple):
    """The verdict, and sentences that say why."""

    name: str
    evidence: list[str]


class Fact(NamedTuple):
    """What of an instance counts for its series: its acquisition, its images, how many images its header states for the
    acquisition (None: it does not), whether its file is whole, and where in which plane it lies."""

    acquisition: str
    frames: int
    stated: int | None
    is_whole: bool
    position: float | None
    plane: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a series besides the arrival that is looked at: instances that came before or that wait in other
    arrivals, by SOPInstanceUID."""

    instances: dict[str, Fact]
    patients: Collection[tuple[str, str]] = ()
    studies: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """The SOPInstanceUIDs that an archive listed, and who it was."""

    sop_uids: frozenset[str]
    source: str


def enough(verdict: str, required: str) -> bool:
    """Whether a verdict is at least the required one."""
    return RANKS.index(verdict) >= RANKS.index(required)


def judge(found: Sequence[Instance], known: Known, listed: Listed | None = None) -> Verdict:
    """The verdict on a series of which an arrival holds `found`."""
    have = known.instances | {one.sop_uid: fact_of(one) for one in found}
    wrong = [*_damaged(found), *_damaged_before(found, have), *_mixed(found, known)]
    missing, stated_fits, about_counts = _counts(have)
    doubts = [*_twice(found), *_irregular(have)]
    gaps = list(_gaps(found, have))
    if listed is not None:
        if absent := listed.sop_uids - have.keys():
            missing.append(
                f"{counted(len(absent), 'instance')} of the {len(listed.sop_uids)} that {listed.source} listed"
                f" {'is' if len(absent) == 1 else 'are'} missing: {_shown(sorted(absent))}"
            )
        elif not wrong and not doubts and listed.sop_uids == have.keys():
            sentence = f"It has exactly the {counted(len(have), 'instance')} that {listed.source} listed"
            return Verdict("VERIFIED", [sentence, *about_counts, *gaps])
        elif have.keys() != listed.sop_uids:
            about_counts.append(
                f"It has more instances than the {len(listed.sop_uids)} that {listed.source} listed"
            )
    if wrong or missing:
        return Verdict("INCOMPLETE", [*wrong, *missing, *doubts, *gaps])
    if stated_fits and not doubts:
        return Verdict("CONSISTENT", [*about_counts, *gaps])
    return Verdict(
        "UNKNOWN", [*doubts, *(about_counts or ["No header states how many images it has"]), *gaps]
    )


def _damaged(found: Sequence[Instance]) -> Iterator[str]:
    damaged = [one for one in found if one.faults]
    for one in damaged[:_MOST_SHOWN]:
        yield f"{escape(one.path)}: {'; '.join(one.faults)}"
    if more := len(damaged[_MOST_SHOWN:]):
        yield f"{counted(more, 'more file')} {'is' if more == 1 else 'are'} damaged"


def fact_of(one: Instance) -> Fact:
    """What counts of an instance."""
    return Fact(one.acquisition, one.frames, one.stated, not one.faults, one.position, one.plane)


def _damaged_before(found: Sequence[Instance], have: dict[str, Fact]) -> Iterator[str]:
    now = {one.sop_uid for one in found}
    if before := sorted(uid for uid, fact in have.items() if not fact.is_whole and uid not in now):
        of = f"{counted(len(before), 'instance')} of other arrivals"
        yield f"{of} {_are(before)} damaged: {_shown(map(escape, before))}"


def _are(which: Sequence[str]) -> str:
    return "is" if len(which) == 1 else "are"


def _mixed(found: Sequence[Instance], known: Known) -> Iterator[str]:
    patients = {*known.patients, *(one.patient for one in found)}
    studies = {*known.studies, *(one.study_uid for one in found)}
    if len(patients) > 1:
        shown = _shown(sorted(escape(" of ".join(filter(None, one))) or "none" for one in patients))
        yield f"It mixes {len(patients)} patients: PatientID {shown}"
    if len(studies) > 1:
        yield f"It mixes {len(studies)} studies: {_shown(sorted(map(escape, studies)))}"


def _counts(have: dict[str, Fact]) -> tuple[list[str], bool, list[str]]:
    """Sentences about what is missing by the headers' own counts, whether these counts fit, and what they are."""
    stated: dict[str, set[int]] = defaultdict(set)
    images: Counter[str] = Counter()
    for fact in have.values():
        images[fact.acquisition] += fact.frames
        if fact.stated is not None:
            stated[fact.acquisition].add(fact.stated)
    missing, about = [], []
    fits = bool(stated) and stated.keys() >= images.keys()
    for acquisition, numbers in sorted(stated.items()):
        name = f"Acquisition {escape(acquisition)}" if len(images) > 1 else "The series"
        if len(numbers) > 1:
            about.append(f"{name}: the headers state different numbers of images, {_shown(sorted(numbers))}")
            fits = False
        elif (there := images[acquisition]) < (number := min(numbers)):
            missing.append(f"{name} has {there} of the {number} images that its headers state")
        else:
            about.append(f"{name} has {counted(there, 'image')}, and its headers state {number}")
            fits &= there == number
    return missing, fits, about


def _twice(found: Sequence[Instance]) -> Iterator[str]:
    several = Counter(one.sop_uid for one in found)
    if twice := sorted(uid for uid, count in several.items() if count > 1):
        yield f"{counted(len(twice), 'SOPInstanceUID')} came in more than one file: {_shown(map(escape, twice))}"


def _irregular(have: dict[str, Fact]) -> Iterator[str]:
    planes: dict[str, set[float]] = defaultdict(set)
    for one in have.values():
        if one.position is not None:
            planes[one.plane].add(round(one.position, 3))
    for positions in planes.values():
        distances = [after - before for before, after in pairwise(sorted(positions))]
        if len(distances) < 2:
            continue
        usual = median(distances)
        odd = [distance for distance in distances if abs(distance - usual) > usual * _IRREGULAR]
        if odd:
            yield (
                f"{counted(len(odd), 'distance')} between slices {'differs' if len(odd) == 1 else 'differ'} from the"
                f" usual {usual:g} mm: {_shown(f'{distance:g} mm' for distance in odd)}"
            )


def _gaps(found: Sequence[Instance], have: dict[str, Fact]) -> Iterator[str]:
    """A warning: numbers may have gaps in a complete series, too."""
    if len(have) != len(found):
        return
    numbers = sorted({int(one.number) for one in found if one.number.isdecimal() and len(one.number) < 10})
    gaps = sum(after - before - 1 for before, after in pairwise(numbers))
    if gaps:
        yield f"Warning: {counted(gaps, 'number')} between InstanceNumber {numbers[0]} and {numbers[-1]} not there"


def _shown(values: object) -> str:
    texts = [str(value) for value in values]  # type: ignore[attr-defined]
    more = f", and {len(texts) - _MOST_SHOWN} more" if len(texts) > _MOST_SHOWN else ""
    return ", ".join(texts[:_MOST_SHOWN]) + more
