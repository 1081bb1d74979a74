"""What is counted over the pictures that were looked at."""

from collections import Counter
from dataclasses import dataclass, field

from fer_lightning.use.predictions import NO_FACE, Seen


@dataclass
class Tally:
    """What was counted along the way."""

    pictures: int = 0
    faces: int = 0
    abstained: int = 0
    without_face: int = 0
    unreadable: list[str] = field(default_factory=list)  # the first ones, with the reason
    unreadable_count: int = 0
    classes: Counter[str] = field(default_factory=Counter)

    def add(self, seen: Seen) -> None:
        """Count a picture."""
        self.pictures += 1
        self.faces += len(seen.faces)
        self.without_face += seen.problem == NO_FACE
        self.abstained += sum(prediction.abstained for _, prediction in seen.faces)
        self.classes.update(prediction.label for _, prediction in seen.faces)
        if seen.problem not in (None, NO_FACE):
            self.unreadable_count += 1
            if self.unreadable_count <= 8:
                self.unreadable.append(f"{seen.file}: {seen.problem}")

    def lines(self) -> list[str]:
        """Return the counts, for people."""
        classes = ", ".join(f"{name} {number:,}" for name, number in self.classes.most_common())
        lines = [f"{self.pictures:,} pictures, {self.faces:,} faces: {classes or 'none'}"]
        if self.abstained:
            lines.append(f"  of {self.abstained:,} faces the network would rather not say: column abstained")
        if self.without_face:
            lines.append(f"  {self.without_face:,} without a face that the detector finds")
        if more := self.unreadable_count - len(self.unreadable):
            self.unreadable.append(f"and {more:,} more")
        if self.unreadable:
            lines.append(f"  {self.unreadable_count:,} unreadable: {'; '.join(self.unreadable)}")
        return lines
