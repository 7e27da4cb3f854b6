//! Specialities of providers, by the codes of the NUCC Health Care Provider
//! Taxonomy. The list is closed, so that a category and a provider who mean the
//! same also say the same; it holds those that such a practice employs.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

use crate::{Coding, code::system};

macro_rules! specialities {
    ($($name:ident, $code:literal, $display:literal;)+) => {
        /// A speciality; it is written as its code.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            Display, EnumIter, EnumString, IntoStaticStr,
        )]
        pub enum Speciality {$(
            #[serde(rename = $code)]
            #[strum(serialize = $code)]
            $name,
        )+}

        impl Speciality {
            /// The taxonomy's own name.
            pub const fn display(self) -> &'static str {
                match self {$(Self::$name => $display,)+}
            }
        }
    };
}

specialities! {
    FamilyMedicine, "207Q00000X", "Family Medicine";
    FamilyAddictionMedicine, "207QA0401X", "Family Medicine, Addiction Medicine";
    FamilyAdultMedicine, "207QA0505X", "Family Medicine, Adult Medicine";
    FamilyObesityMedicine, "207QB0002X", "Family Medicine, Obesity Medicine";
    InternalMedicine, "207R00000X", "Internal Medicine";
    InternalAddictionMedicine, "207RA0401X", "Internal Medicine, Addiction Medicine";
    InternalObesityMedicine, "207RB0002X", "Internal Medicine, Obesity Medicine";
    CardiovascularDisease, "207RC0000X", "Internal Medicine, Cardiovascular Disease";
    Endocrinology, "207RE0101X", "Internal Medicine, Endocrinology, Diabetes & Metabolism";
    Gastroenterology, "207RG0100X", "Internal Medicine, Gastroenterology";
    Nephrology, "207RN0300X", "Internal Medicine, Nephrology";
    AllergyAndImmunology, "207K00000X", "Allergy & Immunology";
    Dermatology, "207N00000X", "Dermatology";
    EmergencyMedicine, "207P00000X", "Emergency Medicine";
    ObstetricsAndGynecology, "207V00000X", "Obstetrics & Gynecology";
    Pediatrics, "208000000X", "Pediatrics";
    Neurology, "2084N0400X", "Psychiatry & Neurology, Neurology";
    Psychiatry, "2084P0800X", "Psychiatry & Neurology, Psychiatry";
    AddictionPsychiatry, "2084A0401X", "Psychiatry & Neurology, Addiction Medicine";
    Urology, "208800000X", "Urology";
    GeneralPractice, "208D00000X", "General Practice";
    PhysicianAssistant, "363A00000X", "Physician Assistant";
    PhysicianAssistantMedical, "363AM0700X", "Physician Assistant, Medical";
    NursePractitioner, "363L00000X", "Nurse Practitioner";
    NursePractitionerAdultHealth, "363LA2200X", "Nurse Practitioner, Adult Health";
    NursePractitionerFamily, "363LF0000X", "Nurse Practitioner, Family";
    NursePractitionerMentalHealth, "363LP0808X",
        "Nurse Practitioner, Psychiatric/Mental Health";
    NursePractitionerWomensHealth, "363LW0102X", "Nurse Practitioner, Women's Health";
}

impl Speciality {
    /// Every speciality, in the order of the list.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    pub fn code(self) -> &'static str {
        self.into()
    }

    /// As FHIR has it.
    pub fn coding(self) -> Coding {
        Coding::new(system::NUCC, self.code(), self.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_the_taxonomy_s_shape_and_reads_back() {
        for one in Speciality::all() {
            let code = one.code();
            assert!(code.len() == 10 && code.ends_with('X'), "{code}");
            assert!(code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()), "{code}");
            assert_eq!(code.parse::<Speciality>(), Ok(one));
            assert_eq!(serde_json::to_value(one).unwrap(), code);
        }
        assert!("Family Medicine".parse::<Speciality>().is_err());
    }
}
