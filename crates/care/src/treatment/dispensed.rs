//! Whether a dose can be taken from what is dispensed: the dose is what is
//! checked, and the units in the package are what the patient swallows.

use crate::DoseLimit;

/// The smallest part of a tablet that a patient can take.
const PART: f64 = 0.5;

/// How many units of the package make the dose; `None` where the package does
/// not say how much is in one, as with a gel or an ingredient.
pub fn units_of(dose: f64, limit: &DoseLimit) -> Option<f64> {
    let (amount, unit) = limit.strength.trim().split_once(' ')?;
    let amount: f64 = amount.parse().ok()?;
    (unit.eq_ignore_ascii_case(&limit.unit) && amount > 0.0).then(|| dose / amount)
}

/// Whether so many units can be taken.
pub fn is_whole(units: f64) -> bool {
    let parts = units / PART;
    parts > 0.5 && (parts - parts.round()).abs() < 1e-6
}

/// The number of tablets or capsules that a sig tells to take, where it begins
/// with `Take` and says so in a plain way.
pub fn told_by(sig: &str) -> Option<f64> {
    let lower = sig.to_lowercase();
    let mut words = lower.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
    if words.next()? != "take" {
        return None;
    }
    let said = words.next()?;
    let number = match said {
        "half" | "one-half" | "½" => 0.5,
        "one" => 1.0,
        "two" => 2.0,
        "three" => 3.0,
        "four" => 4.0,
        number => match number.split_once('/') {
            Some((above, below)) => above.parse::<f64>().ok()? / below.parse::<f64>().ok()?,
            None => number.parse().ok()?,
        },
    };
    let is_unit = |word: &str| {
        ["tablet", "tablets", "capsule", "capsules"].contains(&word.trim_matches(['.', ';']))
    };
    // As in `1 tablet`, `half a tablet` and `half of a tablet`.
    words.take(3).find(|word| !matches!(*word, "a" | "of" | "an")).filter(|word| is_unit(word))?;
    Some(number)
}

#[cfg(test)]
mod tests {
    use kernel::DeaSchedule;

    use super::*;

    fn limit(strength: &str, unit: &str) -> DoseLimit {
        DoseLimit {
            rxnorm: "312941".parse().unwrap(),
            display: "sertraline 50 MG Oral Tablet".into(),
            max_single: 200.0,
            max_daily: 200.0,
            unit: unit.into(),
            reference: "The label.".into(),
            strength: strength.into(),
            schedule: DeaSchedule::None,
            ndcs: Vec::new(),
            max_weekly: None,
            to_confirm: None,
            followed_by: None,
        }
    }

    #[test]
    fn a_dose_is_so_many_units_of_the_package() {
        let tablet = limit("50 MG", "mg");
        let units = |dose| units_of(dose, &tablet).unwrap();
        assert_eq!((units(25.0), units(50.0), units(150.0)), (0.5, 1.0, 3.0));
        for (dose, can_be_taken) in
            [(25.0, true), (75.0, true), (50.0, true), (30.0, false), (12.5, false), (1e-9, false)]
        {
            assert_eq!(is_whole(units(dose)), can_be_taken, "{dose}");
        }
        for (strength, unit) in [("", "mg"), ("0.5 MG/ML", "mg"), ("1 %", "mg"), ("x MG", "mg")] {
            assert_eq!(units_of(1.0, &limit(strength, unit)), None, "{strength}");
        }
    }

    #[test]
    fn a_sig_says_how_many_are_taken() {
        for (sig, number) in [
            ("Take 1 tablet by mouth once a day.", Some(1.0)),
            ("TAKE 2 CAPSULES twice daily", Some(2.0)),
            ("Take half a tablet at bedtime", Some(0.5)),
            ("Take 1/2 tablet.", Some(0.5)),
            ("Take one-half of a tablet", Some(0.5)),
            ("Take 1.5 tablets", Some(1.5)),
            ("Take as directed.", None),
            ("Apply a thin layer", None),
            ("Take 10 mL by mouth", None),
            ("", None),
        ] {
            assert_eq!(told_by(sig), number, "{sig}");
        }
    }
}
