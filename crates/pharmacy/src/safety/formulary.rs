//! The ingredients behind products and allergies: which RxNorm ingredients a
//! recorded drug contains, the classes that matter for cross-reactivity and
//! duplicate therapy, and the limits that a dose is held against.
//!
//! The tables are shipped with the crate. Ingredient codes are RxNorm's (IN);
//! products are those that the formulary prescribes and those that synthetic
//! and exported records commonly carry. A product whose code is not listed is
//! read by its RxNorm name, and counts only when every ingredient in that
//! name is known: a name that is half understood is not understood.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use kernel::{Coding, RxNorm, code::system};

/// How an ingredient stands to pregnancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PregnancyRisk {
    /// Contraindicated by its label.
    Contraindicated,
    /// Used only where the benefit outweighs a known risk.
    Caution,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingredient {
    pub code: RxNorm,
    pub name: String,
    /// Classes, as in `ssri` or `penicillin`.
    pub classes: BTreeSet<String>,
    /// The highest dose by mouth in one day for an adult, in micrograms.
    pub most_daily_micrograms: Option<u64>,
    /// The highest dose of a week, where it is taken once a week.
    pub most_weekly_micrograms: Option<u64>,
    pub pregnancy: Option<PregnancyRisk>,
}

/// What a recorded allergy is against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allergen {
    pub ingredients: BTreeSet<RxNorm>,
    pub classes: BTreeSet<String>,
    /// Known, and no drug: pollen, peanut, dander.
    pub not_a_drug: bool,
}

#[derive(Debug, Default)]
pub struct Formulary {
    ingredients: BTreeMap<RxNorm, Ingredient>,
    by_name: BTreeMap<String, RxNorm>,
    products: BTreeMap<RxNorm, Vec<RxNorm>>,
    allergens: BTreeMap<(String, String), Allergen>,
}

const INGREDIENTS: &str = include_str!("../../data/ingredients.psv");
const PRODUCTS: &str = include_str!("../../data/products.psv");
const ALLERGENS: &str = include_str!("../../data/allergens.psv");

/// The fields of the lines of a table that are neither empty nor a remark.
fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| line.split('|').map(str::trim).collect())
}

impl Formulary {
    /// The tables of this crate, read once. A line that does not parse is
    /// left out, so that what it names counts as unknown and blocks; a test
    /// holds that no line is.
    pub fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Formulary> = OnceLock::new();
        SHIPPED.get_or_init(|| {
            let mut formulary = Self::default();
            formulary.read_ingredients(INGREDIENTS);
            formulary.read_products(PRODUCTS);
            formulary.read_allergens(ALLERGENS);
            formulary
        })
    }

    fn read_ingredients(&mut self, table: &str) {
        for row in rows(table) {
            let [code, names, classes, most, pregnancy] = row[..] else { continue };
            let Ok(code) = code.parse::<RxNorm>() else { continue };
            let mut names = names.split(';').map(|name| name.trim().to_lowercase());
            let Some(name) = names.next() else { continue };
            self.by_name.insert(name.clone(), code.clone());
            for other in names {
                self.by_name.insert(other, code.clone());
            }
            self.ingredients.insert(
                code.clone(),
                Ingredient {
                    code,
                    name,
                    classes: classes.split_whitespace().map(str::to_owned).collect(),
                    most_daily_micrograms: micrograms(most, "mg"),
                    most_weekly_micrograms: most
                        .strip_suffix("/week")
                        .and_then(|most| micrograms(most, "mg")),
                    pregnancy: match pregnancy {
                        "contraindicated" => Some(PregnancyRisk::Contraindicated),
                        "caution" => Some(PregnancyRisk::Caution),
                        _ => None,
                    },
                },
            );
        }
    }

    fn read_products(&mut self, table: &str) {
        for row in rows(table) {
            let [code, ingredients, _display] = row[..] else { continue };
            let Ok(code) = code.parse::<RxNorm>() else { continue };
            let ingredients: Option<Vec<RxNorm>> = ingredients
                .split_whitespace()
                .map(|code| code.parse().ok().filter(|code| self.ingredients.contains_key(code)))
                .collect();
            if let Some(ingredients) = ingredients.filter(|found| !found.is_empty()) {
                self.products.insert(code, ingredients);
            }
        }
    }

    fn read_allergens(&mut self, table: &str) {
        for row in rows(table) {
            let [code_system, code, targets, _display] = row[..] else { continue };
            let code_system = match code_system {
                "snomed" => system::SNOMED,
                "rxnorm" => system::RXNORM,
                _ => continue,
            };
            let mut allergen = Allergen::default();
            for target in targets.split_whitespace() {
                match target.split_once(':') {
                    Some(("class", class)) => {
                        allergen.classes.insert(class.to_owned());
                    }
                    Some(("ingredient", code)) => {
                        if let Ok(code) = code.parse::<RxNorm>()
                            && self.ingredients.contains_key(&code)
                        {
                            allergen.ingredients.insert(code);
                        }
                    }
                    _ => allergen.not_a_drug = target == "none",
                }
            }
            if allergen != Allergen::default() {
                self.allergens.insert((code_system.to_owned(), code.to_owned()), allergen);
            }
        }
    }

    pub fn ingredient(&self, code: &RxNorm) -> Option<&Ingredient> {
        self.ingredients.get(code)
    }

    /// Whether any ingredient is such.
    pub fn any(&self, such: impl Fn(&Ingredient) -> bool) -> bool {
        self.ingredients.values().any(such)
    }

    /// Every ingredient of a drug, by its code or else by its RxNorm name;
    /// `None` where any of them is unknown.
    pub fn ingredients_of(&self, code: Option<&RxNorm>, display: &str) -> Option<Vec<&Ingredient>> {
        let codes = code
            .and_then(|code| {
                self.products
                    .get(code)
                    .cloned()
                    .or_else(|| self.ingredients.contains_key(code).then(|| vec![code.clone()]))
            })
            .or_else(|| self.by_display(display))?;
        codes.iter().map(|code| self.ingredients.get(code)).collect()
    }

    fn by_display(&self, display: &str) -> Option<Vec<RxNorm>> {
        let lower = display.to_lowercase();
        let unbranded = lower.split('[').next().unwrap_or_default();
        let mut found: Vec<RxNorm> = Vec::new();
        for part in unbranded.split('/') {
            let code = self.by_component(part);
            match code {
                Some(code) if !found.contains(&code) => found.push(code),
                Some(_) => {}
                // A slash also stands in units, as in `0.83 MG/ML`; what
                // follows is then no ingredient but the rest of the strength.
                None if !found.is_empty() && is_unit_rest(part) => {}
                None => return None,
            }
        }
        if found.is_empty() { None } else { Some(found) }
    }

    /// One ingredient out of a component such as `24 HR metoprolol succinate
    /// 50 MG Extended Release Oral Tablet`.
    fn by_component(&self, part: &str) -> Option<RxNorm> {
        let words: Vec<&str> = part
            .split_whitespace()
            .skip_while(|word| is_packaging(word))
            .take_while(|word| !word.starts_with(|c: char| c.is_ascii_digit()))
            .map(|word| word.trim_end_matches(','))
            .collect();
        // The longest beginning that names an ingredient, so that the salt
        // and the form after it do not matter.
        (1..=words.len()).rev().find_map(|count| {
            let rest = &words[count..];
            rest.iter()
                .all(|word| SALTS_AND_FORMS.contains(word))
                .then(|| self.by_name.get(&words[..count].join(" ")).cloned())
                .flatten()
        })
    }

    /// The codes of a drug's ingredients, in order and once each; none where any
    /// of them is unknown.
    pub fn drugs_of(&self, code: &RxNorm, display: &str) -> Vec<RxNorm> {
        let found = self.ingredients_of(Some(code), display).unwrap_or_default();
        let codes: BTreeSet<RxNorm> = found.into_iter().map(|one| one.code.clone()).collect();
        codes.into_iter().collect()
    }

    /// What an allergy is against, by any of its codings or else by its
    /// words; `None` where that is unknown.
    pub fn allergen(&self, codings: &[Coding], display: &str) -> Option<Allergen> {
        for coding in codings {
            if let Some(allergen) =
                self.allergens.get(&(coding.system.clone(), coding.code.clone()))
            {
                return Some(allergen.clone());
            }
            if coding.system == system::RXNORM
                && let Ok(code) = coding.code.parse::<RxNorm>()
                && let Some(found) = self.ingredients_of(Some(&code), &coding.display)
            {
                return Some(Allergen::of(&found));
            }
        }
        let lower = display.to_lowercase();
        let words = lower
            .trim_start_matches("allergy to ")
            .trim_end_matches(" (substance)")
            .trim_end_matches(" (disorder)")
            .trim_end_matches(" allergy");
        self.by_display(words).map(|codes| {
            let found: Vec<&Ingredient> =
                codes.iter().filter_map(|code| self.ingredients.get(code)).collect();
            Allergen::of(&found)
        })
    }
}

impl Allergen {
    fn of(ingredients: &[&Ingredient]) -> Self {
        Self {
            ingredients: ingredients.iter().map(|found| found.code.clone()).collect(),
            ..Self::default()
        }
    }
}

/// Words that stand before the ingredient in a product's name.
fn is_packaging(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        || word.starts_with("nda0")
        || matches!(
            word,
            "hr" | "ml"
                | "actuat"
                | "abuse-deterrent"
                | "breath-actuated"
                | "preservative-free"
                | "ml;"
        )
}

/// Whether a piece behind a slash is the rest of a strength: `ml oral
/// solution`, `actuat metered dose inhaler`, `hr transdermal system`.
fn is_unit_rest(part: &str) -> bool {
    part.split_whitespace()
        .next()
        .is_some_and(|word| matches!(word, "ml" | "mg" | "actuat" | "hr" | "day" | "g" | "unt"))
}

/// Words after an ingredient that do not change which one it is.
const SALTS_AND_FORMS: &[&str] = &[
    "acetate",
    "anhydrous",
    "besylate",
    "bitartrate",
    "calcium",
    "citrate",
    "disoproxil",
    "extended",
    "fumarate",
    "hcl",
    "hyclate",
    "hydrobromide",
    "hydrochloride",
    "injection",
    "maleate",
    "mesylate",
    "modified",
    "monohydrate",
    "oral",
    "phosphate",
    "potassium",
    "release",
    "sodium",
    "succinate",
    "sulfate",
    "tablet",
    "capsule",
    "tartrate",
    "topical",
    "trihydrate",
    "alafenamide",
    "magnesium",
    "mofetil",
    "etexilate",
    "delayed",
];

/// A strength such as `1 MG`, `0.5 MG`, `75 MCG` or `1 G` in micrograms; with
/// a `default_unit` a bare number is read in that unit.
pub(crate) fn micrograms(text: &str, default_unit: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.trim() {
        "" if !default_unit.is_empty() => {
            return micrograms(&format!("{number} {default_unit}"), "");
        }
        "mcg" | "ug" => 1,
        "mg" => 1_000,
        "g" => 1_000_000,
        _ => return None,
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || decimals.len() > 6 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let decimals: u64 = format!("{decimals:0<6}").parse().ok()?;
    let micro = whole.checked_mul(1_000_000)?.checked_add(decimals)?;
    // Below a microgram nothing is dosed; rounding up errs on the safe side.
    micro.checked_mul(factor).map(|value| value.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(code: Option<&str>, display: &str) -> Option<Vec<String>> {
        let code = code.map(|code| code.parse::<RxNorm>().unwrap());
        Formulary::shipped()
            .ingredients_of(code.as_ref(), display)
            .map(|found| found.into_iter().map(|one| one.name.clone()).collect())
    }

    #[test]
    fn every_line_of_the_tables_is_read() {
        let formulary = Formulary::shipped();
        assert_eq!(formulary.ingredients.len(), rows(INGREDIENTS).count());
        assert_eq!(formulary.products.len(), rows(PRODUCTS).count());
        assert_eq!(formulary.allergens.len(), rows(ALLERGENS).count());
        assert!(formulary.ingredients.len() > 150);
    }

    #[test]
    fn products_and_their_names_lead_to_the_same_ingredients() {
        // A pack's brand name says nothing of what is in it; all others are
        // read from their names as well, and must then agree.
        let formulary = Formulary::shipped();
        let mut read = 0;
        for row in rows(PRODUCTS) {
            let by_code: BTreeSet<&str> = row[1].split_whitespace().collect();
            if let Some(by_name) = formulary.by_display(row[2]) {
                let by_name: BTreeSet<&str> = by_name.iter().map(RxNorm::as_str).collect();
                assert_eq!(by_code, by_name, "{}", row[2]);
                read += 1;
            }
        }
        assert!(read > 200, "{read}");
    }

    #[test]
    fn a_name_is_understood_whole_or_not_at_all() {
        assert_eq!(
            names(None, "hydrochlorothiazide 12.5 MG / lisinopril 10 MG Oral Tablet"),
            Some(vec!["hydrochlorothiazide".to_owned(), "lisinopril".to_owned()])
        );
        assert_eq!(
            names(None, "24 HR metoprolol succinate 50 MG Extended Release Oral Tablet [Toprol]"),
            Some(vec!["metoprolol".to_owned()])
        );
        assert_eq!(
            names(None, "nitroglycerin 0.4 MG/ACTUAT Mucosal Spray"),
            Some(vec!["nitroglycerin".to_owned()])
        );
        assert_eq!(names(None, "lisinopril 10 MG / unheardof 5 MG Oral Tablet"), None);
        assert_eq!(names(None, "unheardof 5 MG Oral Tablet"), None);
        assert_eq!(names(None, ""), None);
        assert_eq!(names(Some("99999999"), "something"), None);
    }

    #[test]
    fn strengths_are_read_exactly() {
        for (text, expected) in [
            ("1 MG", Some(1_000)),
            ("0.5 MG", Some(500)),
            ("75 MCG", Some(75)),
            ("1 G", Some(1_000_000)),
            ("0.075 MG", Some(75)),
            ("50 MG/ML", None),
            ("MG", None),
            ("", None),
        ] {
            assert_eq!(micrograms(text, ""), expected, "{text}");
        }
        assert_eq!(micrograms("40", "mg"), Some(40_000));
    }
}
