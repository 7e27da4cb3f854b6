//! Units of measure by their UCUM codes. Only the units that a patient is
//! asked to choose between can be converted; any other unit is only ever equal
//! to itself. The factors are exact, as UCUM defines them.

use kernel::Decimal;

/// What a unit measures, and how many of its base unit one of it is.
fn dimension(unit: &str) -> Option<(&'static str, &'static str)> {
    Some(match unit {
        "kg" => ("mass", "1"),
        "g" => ("mass", "0.001"),
        "mg" => ("mass", "0.000001"),
        "[lb_av]" => ("mass", "0.45359237"),
        "[oz_av]" => ("mass", "0.028349523125"),
        "[stone_av]" => ("mass", "6.35029318"),
        "m" => ("length", "1"),
        "cm" => ("length", "0.01"),
        "mm" => ("length", "0.001"),
        "[ft_i]" => ("length", "0.3048"),
        "[in_i]" => ("length", "0.0254"),
        "L" => ("volume", "1"),
        "dL" => ("volume", "0.1"),
        "mL" => ("volume", "0.001"),
        "s" => ("time", "1"),
        "min" => ("time", "60"),
        "h" => ("time", "3600"),
        "d" => ("time", "86400"),
        "wk" => ("time", "604800"),
        _ => return None,
    })
}

/// How many of `to` one of `from` is, as a factor and a divisor; `None` where
/// the two do not measure the same.
pub fn ratio(from: &str, to: &str) -> Option<(Decimal, Decimal)> {
    let one = Decimal::from(1);
    if from == to {
        return Some((one, one));
    }
    let ((what, factor), (wanted, base)) = (dimension(from)?, dimension(to)?);
    (what == wanted).then_some(())?;
    Some((factor.parse().ok()?, base.parse().ok()?))
}

/// The value in another unit; `None` where the two do not measure the same.
pub fn convert(value: Decimal, from: &str, to: &str) -> Option<Decimal> {
    if from == to {
        return Some(value);
    }
    let (factor, base) = ratio(from, to)?;
    Some(value.checked_mul(factor)?.checked_div(base)?.normalized())
}

/// Whether answers in these units can be compared.
pub fn converts(from: &str, to: &str) -> bool {
    ratio(from, to).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(value: &str, from: &str, to: &str) -> Option<String> {
        convert(value.parse().unwrap(), from, to).map(|value| value.to_string())
    }

    #[test]
    fn pounds_and_inches_convert_exactly_and_masses_are_no_lengths() {
        assert_eq!(converted("180", "[lb_av]", "kg").unwrap(), "81.6466266");
        assert_eq!(converted("70", "[in_i]", "m").unwrap(), "1.778");
        assert_eq!(converted("170", "cm", "m").unwrap(), "1.7");
        assert_eq!(converted("70.50", "kg", "kg").unwrap(), "70.50");
        assert_eq!(converted("1", "kg", "m"), None);
        assert_eq!(converted("120", "mm[Hg]", "mm[Hg]").unwrap(), "120");
        assert_eq!(converted("120", "mm[Hg]", "kPa"), None);
    }
}
