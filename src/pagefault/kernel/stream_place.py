"""The place in a stream of deltas up to which they were sent, or heard."""

from __future__ import annotations

from dataclasses import dataclass

from pagefault.types import Output

__all__ = ["StreamPlace"]


@dataclass(slots=True)
class StreamPlace:
    """The end of the deltas of one attempt until now, in characters."""

    attempt: object = None
    characters: int = 0

    def start_of(self, output: Output) -> int:
        """The characters of the attempt's deltas before this output, which is counted."""
        if output.type != "delta":
            return 0
        start = self.characters if output.data.get("attempt") == self.attempt else 0
        self.attempt, self.characters = output.data.get("attempt"), start + len(output.text)
        return start

    def continues(self, output: Output, start: int) -> bool:
        """Count a delta that starts there; False if it does not come next in its attempt."""
        if output.type != "delta":
            return True
        if output.data.get("attempt") == self.attempt and start != self.characters:
            return False
        self.attempt, self.characters = output.data.get("attempt"), start + len(output.text)
        return True
