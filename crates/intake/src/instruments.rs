//! The published cut-offs of the instruments that forms use. A calculated item
//! that bears the LOINC code of one has to have that one's cut-offs.

use kernel::{Sex, code::system};

use crate::{Band, Calculation, Item, ItemKind};

/// The LOINC codes of the totals.
pub const PHQ9: &str = "44261-6";
pub const GAD7: &str = "70274-6";
pub const AUDIT_C: &str = "75626-2";
pub const BODY_MASS_INDEX: &str = "39156-5";

fn bands(bands: &[(f64, &str, &str)]) -> Vec<Band> {
    let band = |(from, code, label): &(f64, &str, &str)| Band {
        from: (*from).into(),
        code: (*code).to_owned(),
        label: (*label).to_owned(),
    };
    bands.iter().map(band).collect()
}

/// Kroenke, Spitzer and Williams 2001.
pub fn phq9() -> Vec<Band> {
    bands(&[
        (0.0, "minimal", "Minimal depression"),
        (5.0, "mild", "Mild depression"),
        (10.0, "moderate", "Moderate depression"),
        (15.0, "moderately_severe", "Moderately severe depression"),
        (20.0, "severe", "Severe depression"),
    ])
}

/// Spitzer, Kroenke, Williams and Löwe 2006.
pub fn gad7() -> Vec<Band> {
    bands(&[
        (0.0, "minimal", "Minimal anxiety"),
        (5.0, "mild", "Mild anxiety"),
        (10.0, "moderate", "Moderate anxiety"),
        (15.0, "severe", "Severe anxiety"),
    ])
}

/// World Health Organization, for adults.
pub fn body_mass_index() -> Vec<Band> {
    bands(&[
        (0.0, "underweight", "Underweight"),
        (18.5, "healthy", "Healthy weight"),
        (25.0, "overweight", "Overweight"),
        (30.0, "obesity_1", "Obesity, class 1"),
        (35.0, "obesity_2", "Obesity, class 2"),
        (40.0, "obesity_3", "Obesity, class 3"),
    ])
}

/// Bush and others 1998, Bradley and others 2007. Where the sex is not known
/// the lower cut-off holds, so that nobody is overlooked.
pub fn audit_c(sex: Option<Sex>) -> Vec<Band> {
    let positive = if sex == Some(Sex::Male) { 4.0 } else { 3.0 };
    bands(&[(0.0, "negative", "Negative"), (positive, "positive", "Hazardous drinking")])
}

/// The 2018 guideline on the management of blood cholesterol.
pub fn ascvd() -> Vec<Band> {
    bands(&[
        (0.0, "low", "Low risk"),
        (5.0, "borderline", "Borderline risk"),
        (7.5, "intermediate", "Intermediate risk"),
        (20.0, "high", "High risk"),
    ])
}

/// Whether the item bears the code of an instrument and has other cut-offs, or
/// another way of being calculated, than were published for it.
pub(crate) fn departs(item: &Item) -> bool {
    let Some(code) = item.code.as_ref().filter(|code| code.system == system::LOINC) else {
        return false;
    };
    let ItemKind::Calculated { calculation } = &item.kind else { return false };
    let published = match (code.code.as_str(), calculation) {
        (PHQ9, Calculation::Sum { of, .. }) if of.len() == 9 => phq9(),
        (GAD7, Calculation::Sum { of, .. }) if of.len() == 7 => gad7(),
        (BODY_MASS_INDEX, Calculation::BodyMassIndex { .. }) => body_mass_index(),
        (AUDIT_C, Calculation::AuditC { .. }) => return false,
        (PHQ9 | GAD7 | BODY_MASS_INDEX | AUDIT_C, _) => return true,
        _ => return false,
    };
    let cut_offs = |bands: &[Band]| bands.iter().map(|band| band.from).collect::<Vec<_>>();
    cut_offs(calculation.bands()) != cut_offs(&published)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, AscvdInputs, ChoiceOption, Facts, Quantity, Score};

    fn points(total: i32) -> (Item, Answer) {
        let option = ChoiceOption {
            code: "x".into(),
            display: "x".into(),
            score: Some(total),
            flag: false,
            coding: None,
            exclusive: false,
        };
        (plain("x", ItemKind::SingleChoice { options: vec![option] }), Answer::Choice("x".into()))
    }

    fn plain(link_id: &str, kind: ItemKind) -> Item {
        Item::new(link_id, link_id, kind)
    }

    fn band(score: Option<Score>) -> String {
        score.and_then(|score| score.band).map_or_else(String::new, |band| band.code)
    }

    /// Scores one item with the whole total, as an instrument of one question.
    fn total(bands: Vec<Band>, total: i32) -> String {
        let (item, answer) = points(total);
        let sum = Calculation::Sum { of: vec!["x".into()], bands };
        band(sum.score(&[(&item, answer)], &Facts::default()))
    }

    #[test]
    fn totals_fall_into_the_published_ranges() {
        for (score, severity) in [
            (0, "minimal"),
            (4, "minimal"),
            (5, "mild"),
            (9, "mild"),
            (10, "moderate"),
            (14, "moderate"),
            (15, "moderately_severe"),
            (19, "moderately_severe"),
            (20, "severe"),
            (27, "severe"),
        ] {
            assert_eq!(total(phq9(), score), severity, "PHQ-9 of {score}");
        }
        for (score, severity) in [
            (4, "minimal"),
            (5, "mild"),
            (9, "mild"),
            (10, "moderate"),
            (14, "moderate"),
            (15, "severe"),
            (21, "severe"),
        ] {
            assert_eq!(total(gad7(), score), severity, "GAD-7 of {score}");
        }
    }

    #[test]
    fn the_audit_c_is_positive_from_four_in_men_and_from_three_in_others() {
        let calculation = Calculation::AuditC { of: ["a", "b", "c"].map(str::to_owned) };
        let result = |sex, scores: [i32; 3]| {
            let answered = scores.map(points);
            let inputs: Vec<_> =
                answered.iter().map(|(item, answer)| (item, answer.clone())).collect();
            band(calculation.score(&inputs, &Facts { sex, age: None }))
        };
        assert_eq!(result(Some(Sex::Male), [2, 1, 0]), "negative");
        assert_eq!(result(Some(Sex::Male), [2, 1, 1]), "positive");
        assert_eq!(result(Some(Sex::Female), [1, 1, 0]), "negative");
        assert_eq!(result(Some(Sex::Female), [1, 1, 1]), "positive");
        assert_eq!(result(None, [1, 1, 1]), "positive");
    }

    #[test]
    fn the_cardiovascular_risk_comes_from_answers_and_profile() {
        let inputs = AscvdInputs {
            race: "race".into(),
            total_cholesterol: "total".into(),
            hdl_cholesterol: "hdl".into(),
            systolic_pressure: "pressure".into(),
            treated_hypertension: "treated".into(),
            diabetes: "diabetes".into(),
            smoker: "smoker".into(),
        };
        let item = plain("any", ItemKind::Boolean { consent: None });
        let number = |value: f64| Answer::Number(Quantity::bare(value));
        let answers = [
            Answer::Choice("african_american".into()),
            number(213.0),
            number(50.0),
            number(120.0),
            Answer::Boolean(false),
            Answer::Boolean(false),
            Answer::Boolean(false),
        ];
        let answers = answers.map(|answer| (&item, answer));
        let calculation = Calculation::Ascvd(inputs);
        let facts = Facts { sex: Some(Sex::Male), age: Some(55) };
        let score = calculation.score(&answers, &facts).unwrap();
        assert_eq!(score.value, 6.1.into());
        assert_eq!(band(Some(score)), "borderline");
        let young = Facts { age: Some(30), ..facts };
        assert_eq!(calculation.score(&answers, &young), None);
        assert_eq!(calculation.score(&answers, &Facts::default()), None);
    }

    #[test]
    fn an_instrument_with_cut_offs_of_its_own_is_told() {
        let of: Vec<String> = (0..7).map(|number| format!("gad_{number}")).collect();
        let mut item = plain(
            "gad7",
            ItemKind::Calculated {
                calculation: Calculation::Sum { of: of.clone(), bands: gad7() },
            },
        );
        item.code = Some(kernel::Coding::new(system::LOINC, GAD7, "GAD-7 total"));
        assert!(!departs(&item));
        let mut bands = gad7();
        bands[2].from = 11.into();
        item.kind = ItemKind::Calculated { calculation: Calculation::Sum { of, bands } };
        assert!(departs(&item));
        item.code = None;
        assert!(!departs(&item));
    }
}
