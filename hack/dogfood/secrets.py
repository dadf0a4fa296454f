"""Values that no record, log or evidence may show: masked wherever they stand, cut ones included."""

from collections.abc import Mapping
from typing import Any, Final

from hack.dogfood.oracles import Text

SHORTEST: Final = 4  # a value of fewer characters (1, yes) is no secret, and masking it would garble every text


class Mask:
    """Replaces each secret by `[masked: NAME]`."""

    def __init__(self, values: Mapping[str, str]) -> None:
        lines = {
            (name, line)
            for name, value in values.items()
            for line in (value, *value.splitlines())  # a key of several lines is masked line by line too
            if len(line) >= SHORTEST
        }
        # The longest first: a secret that holds another is masked whole.
        self._pairs = sorted(((line, f'[masked: {name}]') for name, line in lines), key=lambda pair: -len(pair[0]))

    def text(self, text: str) -> str:
        for secret, mask in self._pairs:
            text = text.replace(secret, mask)
        return text

    def value(self, value: Any) -> Any:
        """The same value with every string in it masked."""
        if not self._pairs:
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
        head, tail = len(text.head), 0
        for secret, _ in self._pairs:
            raw = secret.encode()
            head = min(head, len(text.head) - _overlap(text.head, raw))
            tail = max(tail, _overlap(raw, text.tail))
        lost = len(text.head) - head + tail
        return Text(text.head[:head], text.tail[tail:], text.dropped + lost)


def _overlap(left: bytes, right: bytes) -> int:
    """The longest end of `left` that is a beginning of `right`, in bytes; never the whole of either."""
    for size in range(min(len(left), len(right)) - 1, 0, -1):
        if left.endswith(right[:size]):
            return size
    return 0
