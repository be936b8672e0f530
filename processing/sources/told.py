"""Which file versions a source told of, eight bytes for each: a beamline writes millions of them."""

import numpy as np

FEW = 4096  # hashes that are kept as Python's own numbers, at ten times the bytes, until they are sorted in


class ToldFiles:
    """A set of file ids, of which only hashes are kept."""

    def __init__(self) -> None:
        self._few: set[int] = set()
        self._many = np.empty(0, np.int64)

    def add(self, file_id: str) -> None:
        if file_id not in self:
            self._few.add(hash(file_id))
        if len(self._few) >= max(FEW, len(self._many) // 64):
            few = np.sort(np.fromiter(self._few, np.int64))
            self._many = np.insert(self._many, self._many.searchsorted(few), few)
            self._few = set()

    def __contains__(self, file_id: str) -> bool:
        number = hash(file_id)
        index = int(self._many.searchsorted(number))
        return number in self._few or (index < len(self._many) and int(self._many[index]) == number)
