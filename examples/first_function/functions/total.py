from pathlib import Path
from typing import Annotated

import h5py
from pydantic import Field

from beamhub.processing.functions import Scalar, Summary, function


@function(title="Total counts", version="1", timeout="30s", memory="1G")
def total(raw: Path, out: Path, threshold: Annotated[float, Field(ge=0, description="counts")] = 0) -> Summary:
    """Add up all pixels above a threshold."""
    with h5py.File(raw) as file:
        frame = file["entry/data/data"][()]
    counts = float(frame[frame > threshold].sum())
    with h5py.File(out, "w") as file:
        file["entry/total"] = counts
    return Summary(scalars={"total": Scalar(value=counts, unit="counts")})
