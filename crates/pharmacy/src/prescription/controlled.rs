//! The controlled substances that an outpatient prescription can name, by
//! ingredient and schedule (21 CFR 1308.12 to 1308.15). A prescription is held
//! against it because a plan carries a drug's name and not its schedule.

use kernel::DeaSchedule;

const CONTROLLED: &[(DeaSchedule, &[&str])] = &[
    (
        DeaSchedule::Ii,
        &[
            "amphetamine",
            "codeine",
            "dexmethylphenidate",
            "dextroamphetamine",
            "fentanyl",
            "hydrocodone",
            "hydromorphone",
            "levorphanol",
            "lisdexamfetamine",
            "meperidine",
            "methadone",
            "methamphetamine",
            "methylphenidate",
            "morphine",
            "oxycodone",
            "oxymorphone",
            "tapentadol",
        ],
    ),
    (
        DeaSchedule::Iii,
        &[
            "anabolic",
            "benzphetamine",
            "buprenorphine",
            "butalbital",
            "dronabinol",
            "ketamine",
            "methyltestosterone",
            "nandrolone",
            "oxandrolone",
            "phendimetrazine",
            "testosterone",
        ],
    ),
    (
        DeaSchedule::Iv,
        &[
            "alprazolam",
            "armodafinil",
            "butorphanol",
            "carisoprodol",
            "chlordiazepoxide",
            "clobazam",
            "clonazepam",
            "clorazepate",
            "diazepam",
            "diethylpropion",
            "estazolam",
            "eszopiclone",
            "flurazepam",
            "lemborexant",
            "lorazepam",
            "meprobamate",
            "midazolam",
            "modafinil",
            "oxazepam",
            "pentazocine",
            "phenobarbital",
            "phentermine",
            "solriamfetol",
            "suvorexant",
            "temazepam",
            "tramadol",
            "triazolam",
            "zaleplon",
            "zolpidem",
        ],
    ),
    (
        DeaSchedule::V,
        &[
            "brivaracetam",
            "cenobamate",
            "difelikefalin",
            "diphenoxylate",
            "lacosamide",
            "lasmiditan",
            "pregabalin",
        ],
    ),
];

/// The schedule of a drug by its RxNorm name; of several ingredients the
/// strictest counts.
pub fn schedule_of(display: &str) -> DeaSchedule {
    let name = display.to_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphabetic()).collect();
    CONTROLLED
        .iter()
        .find(|(_, ingredients)| words.iter().any(|word| ingredients.contains(word)))
        .map_or(DeaSchedule::None, |(schedule, _)| *schedule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_ingredient_counts() {
        assert_eq!(schedule_of("finasteride 1 MG Oral Tablet"), DeaSchedule::None);
        assert_eq!(schedule_of("Phentermine hydrochloride 37.5 MG Oral Tablet"), DeaSchedule::Iv);
        assert_eq!(
            schedule_of("acetaminophen 325 MG / oxycodone hydrochloride 5 MG Oral Tablet"),
            DeaSchedule::Ii
        );
    }
}
