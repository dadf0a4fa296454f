"""Values that no record, log or evidence may show: masked wherever they stand, cut ones included."""

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from hack.dogfood.judging.oracles import Text

SHORTEST: Final = 4  # a value of fewer characters (1, yes) is no secret, and masking it would garble every text


class Mask:
    """Replaces each secret by `[masked: NAME]`. `values`: of the environment, by name."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._raw = {
            os.fsencode(line): f'[masked: {name}]'
            for name, value in values.items()
            for line in (value, *value.splitlines())  # a key of several lines is masked line by line too
            if len(line) >= SHORTEST
        }
        # As `Text` shows bytes; the longest first: a secret that holds another is masked whole.
        self._masks = {raw.decode('utf-8', 'backslashreplace'): mask for raw, mask in self._raw.items()}
        self._any = re.compile('|'.join(map(re.escape, sorted(self._masks, key=len, reverse=True))))

    def text(self, text: str) -> str:
        return self._any.sub(lambda match: self._masks[match[0]], text) if self._masks else text

    def value(self, value: Any) -> Any:
        """The same value with every string in it masked."""
        if not self._masks:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value

    def trim(self, text: Text) -> Text:
        """Drop from both sides of a cut what may be a part of a secret: a part would not be recognised."""
        if not text.dropped:
            return text
        head, tail = self._without_end(text.head), self._without_start(text.tail)
        lost = len(text.head) - len(head) + len(text.tail) - len(tail)
        hits = tuple(self._without_start(self._without_end(hit)) for hit in text.hits)
        return Text(head, tail, text.dropped + lost, hits)

    # Again and again: of a secret that overlaps with itself or with another, one step leaves a part.

    def _without_end(self, data: bytes) -> bytes:
        while size := max((_overlap(data, raw, len(raw) - 1) for raw in self._raw), default=0):
            data = data[:-size]
        return data

    def _without_start(self, data: bytes) -> bytes:
        while size := max((_overlap(raw, data, len(raw) - 1) for raw in self._raw), default=0):
            data = data[size:]
        return data


def _overlap(left: bytes, right: bytes, most: int) -> int:
    """The longest end of `left` that is a beginning of `right`, in bytes."""
    return next((size for size in range(min(len(left), len(right), most), 0, -1) if left.endswith(right[:size])), 0)
