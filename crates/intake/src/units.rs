//! Units of measure by their UCUM codes. Only the units that a patient is
//! asked to choose between can be converted; any other unit is only ever equal
//! to itself.

/// What a unit measures, and how many of its base unit one of it is.
fn dimension(unit: &str) -> Option<(&'static str, f64)> {
    Some(match unit {
        "kg" => ("mass", 1.0),
        "g" => ("mass", 0.001),
        "[lb_av]" => ("mass", 0.453_592_37),
        "[oz_av]" => ("mass", 0.028_349_523_125),
        "m" => ("length", 1.0),
        "cm" => ("length", 0.01),
        "[ft_i]" => ("length", 0.304_8),
        "[in_i]" => ("length", 0.025_4),
        _ => return None,
    })
}

/// The value in another unit; `None` where the two do not measure the same.
pub fn convert(value: f64, from: &str, to: &str) -> Option<f64> {
    if from == to {
        return Some(value);
    }
    let ((what, factor), (wanted, base)) = (dimension(from)?, dimension(to)?);
    (what == wanted).then(|| value * factor / base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pounds_and_inches_convert_and_masses_are_no_lengths() {
        assert!((convert(180.0, "[lb_av]", "kg").unwrap() - 81.646_626_6).abs() < 1e-9);
        assert!((convert(70.0, "[in_i]", "m").unwrap() - 1.778).abs() < 1e-12);
        assert_eq!(convert(1.0, "kg", "m"), None);
        assert_eq!(convert(120.0, "mm[Hg]", "mm[Hg]"), Some(120.0));
        assert_eq!(convert(120.0, "mm[Hg]", "kPa"), None);
    }
}
