"""Conversions between units that people forget."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Conversion:
    """`served = expected * factor + shift`."""

    factor: float
    shift: float
    sent: str
    as_: str
    #: The declared units that it starts from.
    units: tuple[str, ...]
    to_units: tuple[str, ...]

    @property
    def words(self) -> str:
        """What was done."""
        return f"{self.sent} sent as {self.as_}"

    @property
    def reverse(self) -> "Conversion":
        """The way back."""
        return Conversion(1 / self.factor, -self.shift / self.factor, self.as_, self.sent, self.to_units, self.units)


_FORWARD = (
    Conversion(1.609344, 0, "miles", "kilometres", ("mi", "mile", "miles"), ("km",)),
    Conversion(1.609344, 0, "mph", "km/h", ("mph", "mi/h"), ("km/h", "kmh", "kph")),
    Conversion(0.3048, 0, "feet", "metres", ("ft", "feet"), ("m", "metres", "meters")),
    Conversion(2.54, 0, "inches", "centimetres", ("in", "inch", "inches"), ("cm",)),
    Conversion(25.4, 0, "inches", "millimetres", ("in", "inch", "inches"), ("mm",)),
    Conversion(0.45359237, 0, "pounds", "kilograms", ("lb", "lbs"), ("kg",)),
    Conversion(1.852, 0, "knots", "km/h", ("kn", "kt", "knots"), ("km/h", "kmh", "kph")),
    Conversion(1.150779448, 0, "knots", "mph", ("kn", "kt", "knots"), ("mph",)),
    Conversion(3.6, 0, "m/s", "km/h", ("m/s",), ("km/h", "kmh", "kph")),
    Conversion(0.44704, 0, "mph", "m/s", ("mph",), ("m/s",)),
    Conversion(33.8638866667, 0, "inches of mercury", "hPa", ("inHg",), ("hPa", "mbar")),
    Conversion(0.1, 0, "hPa", "kPa", ("hPa", "mbar"), ("kPa",)),
    Conversion(3.785411784, 0, "US gallons", "litres", ("gal",), ("l", "L")),
    Conversion(100, 0, "fractions", "percent", ("", "fraction", "1"), ("%", "percent")),
    Conversion(100, 0, "whole currency", "cents", ("USD", "EUR", "GBP"), ("cent", "cents")),
    Conversion(1000, 0, "seconds", "milliseconds", ("s",), ("ms",)),
    Conversion(1000, 0, "kilo-units", "units", ("km", "kg", "kW"), ("m", "g", "W")),
    Conversion(60, 0, "hours or minutes", "minutes or seconds", ("h", "min"), ("min", "s")),
    Conversion(3600, 0, "hours", "seconds", ("h",), ("s",)),
    Conversion(5 / 9, -160 / 9, "degrees Fahrenheit", "Celsius", ("degF", "F"), ("degC", "C")),
    Conversion(1, 273.15, "degrees Celsius", "Kelvin", ("degC", "C"), ("K",)),
    Conversion(5 / 9, 273.15 - 160 / 9, "degrees Fahrenheit", "Kelvin", ("degF", "F"), ("K",)),
)


def conversions(unit: str | None) -> list[Conversion]:
    """Every conversion, those that start from the declared unit first."""
    both = [way for conversion in _FORWARD for way in (conversion, conversion.reverse)]
    return sorted(both, key=lambda way: 0 if unit and unit in way.units else 1)
