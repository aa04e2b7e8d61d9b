"""Units that get mistaken for one another."""

from dataclasses import dataclass
from fractions import Fraction

from assay.contract.columns import Array


@dataclass(frozen=True)
class Conversion:
    """`target = factor * source + offset`."""

    source: str
    target: str
    factor: float
    offset: float = 0.0
    #: How it is written; a pure ratio when empty.
    formula: str = ""

    def __str__(self) -> str:
        return self.formula or f"ratio {self.factor:.7g}"

    def apply(self, values: Array) -> Array:
        """Values in the target unit."""
        return values * self.factor + self.offset

    @property
    def distinctive(self) -> bool:
        """True when the factor is no ratio of small numbers, so that not even one row has it by accident."""
        simple = Fraction(self.factor).limit_denominator(12), 1 / Fraction(1 / self.factor).limit_denominator(12)
        return all(abs(float(near) / self.factor - 1) > 1e-4 for near in simple)

    @property
    def reverse(self) -> "Conversion":
        """From the target unit to the source unit."""
        return Conversion(self.target, self.source, 1 / self.factor, -self.offset / self.factor)


_RATIOS = (
    ("mi", "km", 1.609344),
    ("mph", "km/h", 1.609344),
    ("ft", "m", 0.3048),
    ("mi", "m", 1609.344),
    ("mi", "ft", 5280.0),
    ("nmi", "km", 1.852),
    ("nmi", "mi", 1.852 / 1.609344),
    ("kn", "km/h", 1.852),
    ("kn", "mph", 1.852 / 1.609344),
    ("kn", "m/s", 1.852 / 3.6),
    ("mph", "m/s", 0.44704),
    ("m/s", "km/h", 3.6),
    ("in", "cm", 2.54),
    ("in", "mm", 25.4),
    ("cm", "mm", 10.0),
    ("m", "cm", 100.0),
    ("km", "m", 1000.0),
    ("lb", "kg", 0.45359237),
    ("oz", "g", 28.349523125),
    ("kg", "g", 1000.0),
    ("gal", "l", 3.785411784),
    ("inHg", "hPa", 33.8639),
    ("kPa", "hPa", 10.0),
    ("hPa", "Pa", 100.0),
    ("fraction", "%", 100.0),
    ("USD", "cents", 100.0),
    ("s", "ms", 1000.0),
    ("min", "s", 60.0),
    ("h", "min", 60.0),
    ("h", "s", 3600.0),
    ("d", "h", 24.0),
    ("rad", "deg", 57.29577951308232),
)
_TEMPERATURES = (
    Conversion("degF", "degC", 5 / 9, -160 / 9, "(x - 32) * 5/9"),
    Conversion("degC", "degF", 9 / 5, 32.0, "x * 9/5 + 32"),
    Conversion("degC", "K", 1.0, 273.15, "offset +273.15"),
    Conversion("K", "degC", 1.0, -273.15, "offset -273.15"),
    Conversion("degF", "K", 5 / 9, 273.15 - 160 / 9, "(x - 32) * 5/9 + 273.15"),
    Conversion("K", "degF", 9 / 5, 32.0 - 273.15 * 9 / 5, "(x - 273.15) * 9/5 + 32"),
)
_FORWARD = tuple(Conversion(*ratio) for ratio in _RATIOS)
CONVERSIONS = (*_FORWARD, *(conversion.reverse for conversion in _FORWARD), *_TEMPERATURES)

#: Symbol to the word in a sentence, and other spellings in lower case.
_WORDS: dict[str, tuple[str, str]] = {
    "mi": ("miles", "mile miles"),
    "km": ("kilometres", "kilometre kilometres kilometer kilometers"),
    "nmi": ("nautical miles", "nm"),
    "m": ("metres", "metre metres meter meters"),
    "cm": ("centimetres", "centimetre centimetres centimeter centimeters"),
    "mm": ("millimetres", "millimetre millimetres millimeter millimeters"),
    "ft": ("feet", "foot feet"),
    "in": ("inches", "inch inches"),
    "lb": ("pounds", "lbs pound pounds"),
    "kg": ("kilograms", "kilogram kilograms"),
    "g": ("grams", "gram grams"),
    "oz": ("ounces", "ounce ounces"),
    "gal": ("gallons", "gallon gallons"),
    "l": ("litres", "litre litres liter liters"),
    "mph": ("mph", "mi/h"),
    "km/h": ("km/h", "kmh kph km/hr"),
    "kn": ("knots", "kt kts knot knots"),
    "m/s": ("m/s", "mps"),
    "degF": ("Fahrenheit", "°f f fahrenheit"),
    "degC": ("Celsius", "°c c celsius"),
    "K": ("kelvin", "kelvin degk"),
    "inHg": ("inches of mercury", ""),
    "hPa": ("hectopascals", "mbar mb"),
    "kPa": ("kilopascals", ""),
    "Pa": ("pascals", ""),
    "%": ("percent", "percent pct"),
    "fraction": ("a fraction", "1 share"),
    "USD": ("dollars", "$ dollar dollars"),
    "cents": ("cents", "¢ cent"),
    "ms": ("milliseconds", "millisecond milliseconds"),
    "s": ("seconds", "sec second seconds"),
    "min": ("minutes", "minute minutes"),
    "h": ("hours", "hr hour hours"),
    "d": ("days", "day days"),
    "deg": ("degrees", "° degree degrees"),
    "rad": ("radians", "radian radians"),
}
_SYMBOLS = {
    spelling: symbol for symbol, (_, others) in _WORDS.items() for spelling in (symbol.lower(), *others.split())
}


def conversions(unit: str | None) -> tuple[Conversion, ...]:
    """The conversions that a column of that unit may have gone through: all when none is declared."""
    if unit is None:
        return CONVERSIONS
    symbol = _symbol(unit)
    sources = [conversion for conversion in CONVERSIONS if conversion.source == symbol]
    return (*sources, *(conversion for conversion in CONVERSIONS if conversion.target == symbol))


def question(conversion: Conversion, unit: str | None) -> str:
    """What may have happened: the readings of a conversion, those that share its factor included, two at most.

    >>> question(CONVERSIONS[0], "mi")
    'miles sent as kilometres?'
    >>> question(CONVERSIONS[0], "km")
    'kilometres converted from miles twice?'
    """
    alike = [other for other in conversions(unit) if _alike(conversion, other)]
    if unit is not None and any(other.source == _symbol(unit) for other in alike):
        alike = [other for other in alike if other.source == _symbol(unit)]
    return " or ".join(dict.fromkeys(_reading(other, unit) for other in alike[:2]))


def nearest(factor: float, unit: str | None) -> Conversion | None:
    """The pure ratio within 0.1 % of a factor, for code that says 1.609 or 0.454."""
    ratios = [conversion for conversion in conversions(unit) if not conversion.offset]
    best = min(ratios, key=lambda conversion: abs(conversion.factor / factor - 1), default=None)
    return best if best and abs(best.factor / factor - 1) < 1e-3 else None


def _symbol(unit: str) -> str:
    return _SYMBOLS.get(unit.strip().lower(), unit)


def _alike(one: Conversion, other: Conversion) -> bool:
    return abs(one.factor / other.factor - 1) < 1e-5 and abs(one.offset - other.offset) < 1e-9


def _reading(conversion: Conversion, unit: str | None) -> str:
    source, target = _WORDS[conversion.source][0], _WORDS[conversion.target][0]
    if unit is not None and conversion.source != _symbol(unit):
        return f"{target} converted from {source} twice?"
    return f"{source} sent as {target}?"
