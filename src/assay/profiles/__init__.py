"""What a table's values look like in some kilobytes: profiles that merge, distances between them, and what moved."""

from assay.profiles.distance import Distances, distances
from assay.profiles.past import HISTORY
from assay.profiles.render import render
from assay.profiles.shifts import Shift, replay, shifts
from assay.profiles.table import ColumnProfile, Profile, decode, encode, merge, profile

__all__ = [
    "HISTORY",
    "ColumnProfile",
    "Distances",
    "Profile",
    "Shift",
    "decode",
    "distances",
    "encode",
    "merge",
    "profile",
    "render",
    "replay",
    "shifts",
]
