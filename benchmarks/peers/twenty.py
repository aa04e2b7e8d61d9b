"""The twenty checks of the flights table that every library is asked for: ten ranges, two sets, eight without nulls."""

RANGES = {
    "distance": (10, 5000), "plane_year": (1950, 2013), "seats": (1, 500), "temp": (-20, 120), "wind_speed": (0, 100),
    "precip": (0, 5), "pressure": (900, 1100), "visib": (0, 10), "copy": (0, 29), "code": (0, 4042),
}  # fmt: skip
SETS = {
    "origin": ["EWR", "JFK", "LGA"],
    "carrier": ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"],
}
FULL = ["flight", "scheduled", "carrier", "origin", "dest", "distance", "copy", "code"]
