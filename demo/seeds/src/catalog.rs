//! The catalog of the demo: six categories that telehealth companies treat,
//! and what their plans cost.

use catalog::{
    ActivationWindow, Article, ArticleSpec, BillingInterval, CatalogError, CatalogStore, Category,
    CategoryConfiguration, CategorySpec, Modality, PlanSpec, PriceSpec, Tier, save_category,
    seed_plan,
};
use kernel::{
    Actor, ArticleId, CategoryId, CoveredTreatment, DoseAmount, DoseForm, Feature, FieldError,
    Money, PlanId, Uuid,
};
use ports::repository::insert_missing;

pub const HAIR_LOSS: CategoryId = category_id(1);
pub const ERECTILE_DYSFUNCTION: CategoryId = category_id(2);
pub const WEIGHT_MANAGEMENT: CategoryId = category_id(3);
pub const ACNE: CategoryId = category_id(4);
pub const ANXIETY: CategoryId = category_id(5);
pub const DEPRESSION: CategoryId = category_id(6);

const fn category_id(number: u128) -> CategoryId {
    CategoryId(Uuid::from_u128(0x5a1c_0001_0000_4000_8000_0000_0000_0000 + number))
}

/// The `number`-th plan of a category, counted from 1.
pub const fn plan_id(category: CategoryId, number: u128) -> PlanId {
    PlanId(Uuid::from_u128(category.uuid().as_u128() + (1 << 96) + (number << 16)))
}

struct CategorySeed {
    id: CategoryId,
    slug: &'static str,
    name: &'static str,
    description: &'static str,
    modality: Modality,
    maximum_age: Option<u16>,
    plans: &'static [PlanSeed],
}

struct PlanSeed {
    name: &'static str,
    description: &'static str,
    tier: Tier,
    features: &'static [(&'static str, &'static str)],
    comparison: &'static [(&'static str, &'static str)],
    /// What it pays for.
    covers: &'static [Covered],
    /// In cents: a month, a quarter, a year.
    prices: [i64; 3],
}

/// A treatment that plans pay for.
struct Covered {
    drug: &'static str,
    name: &'static str,
    form: DoseForm,
    unit: &'static str,
    doses: &'static [f64],
}

const fn covered(
    (drug, name): (&'static str, &'static str),
    form: DoseForm,
    unit: &'static str,
    doses: &'static [f64],
) -> Covered {
    Covered { drug, name, form, unit, doses }
}

const FINASTERIDE: Covered = covered(("25025", "finasteride"), DoseForm::OralTablet, "mg", &[1.0]);
const MINOXIDIL: Covered =
    covered(("6984", "minoxidil"), DoseForm::OralTablet, "mg", &[1.25, 2.5, 5.0]);
const SILDENAFIL: Covered =
    covered(("136411", "sildenafil"), DoseForm::OralTablet, "mg", &[25.0, 50.0, 100.0]);
const TADALAFIL: Covered =
    covered(("358263", "tadalafil"), DoseForm::OralTablet, "mg", &[2.5, 5.0]);
const METFORMIN: Covered =
    covered(("6809", "metformin"), DoseForm::OralTablet, "mg", &[500.0, 1000.0]);
/// All steps, so that a rising dose stays what was bought.
const SEMAGLUTIDE: Covered =
    covered(("1991302", "semaglutide"), DoseForm::Injection, "mg", &[0.25, 0.5, 1.0, 1.7, 2.4]);
const TRETINOIN: Covered =
    covered(("10753", "tretinoin"), DoseForm::TopicalGel, "g", &[0.25, 0.5, 0.75, 1.0]);
const DOXYCYCLINE: Covered =
    covered(("3640", "doxycycline"), DoseForm::OralCapsule, "mg", &[100.0, 200.0]);
const SERTRALINE: Covered = covered(
    ("36437", "sertraline"),
    DoseForm::OralTablet,
    "mg",
    &[25.0, 50.0, 75.0, 100.0, 125.0, 150.0, 175.0, 200.0],
);

const MESSAGES: (&str, &str) = ("messages", "Unlimited messages with your provider");
const SHIPPING: (&str, &str) = ("free_shipping", "Free discreet shipping");
/// Booking a video visit takes this code; see `care::VIDEO_VISITS`.
const VISITS: (&str, &str) = ("video_visits", "Video visits when you ask for one");
const MONTHLY_VISIT: (&str, &str) = ("video_visits", "Video visit every month");
const COLD_CHAIN: (&str, &str) = ("cold_chain_delivery", "Cold-chain delivery");
const GAD_7: (&str, &str) = ("monthly_gad_7", "GAD-7 every month");
const PHQ_9: (&str, &str) = ("monthly_phq_9", "PHQ-9 every month");

const CATEGORIES: [CategorySeed; 6] = [
    CategorySeed {
        id: HAIR_LOSS,
        slug: "hair-loss",
        name: "Hair loss",
        description: "Treatment of androgenetic alopecia with finasteride and minoxidil.",
        modality: Modality::Asynchronous,
        maximum_age: Some(75),
        plans: &[
            PlanSeed {
                name: "Hair Essential",
                description: "Finasteride 1 mg, one tablet a day.",
                tier: Tier::Basic,
                features: &[SHIPPING, MESSAGES],
                comparison: &[("Medication", "Finasteride 1 mg"), ("Visits", "By message")],
                covers: &[FINASTERIDE],
                prices: [2_500, 6_900, 24_000],
            },
            PlanSeed {
                name: "Hair Minoxidil",
                description: "Minoxidil by mouth, one tablet a day.",
                tier: Tier::Standard,
                features: &[SHIPPING, MESSAGES],
                comparison: &[("Medication", "Minoxidil 2.5 mg"), ("Visits", "By message")],
                covers: &[MINOXIDIL],
                prices: [3_900, 10_500, 37_200],
            },
            PlanSeed {
                name: "Hair Complete",
                description: "The one of both treatments that suits you, and video visits.",
                tier: Tier::Premium,
                features: &[
                    SHIPPING,
                    MESSAGES,
                    VISITS,
                    ("progress_checks", "Progress check every three months"),
                ],
                comparison: &[
                    ("Medication", "Finasteride 1 mg or minoxidil 2.5 mg"),
                    ("Visits", "By message and video"),
                ],
                covers: &[FINASTERIDE, MINOXIDIL],
                prices: [5_500, 14_900, 52_800],
            },
        ],
    },
    CategorySeed {
        id: ERECTILE_DYSFUNCTION,
        slug: "erectile-dysfunction",
        name: "Erectile dysfunction",
        description: "Treatment with sildenafil or tadalafil.",
        modality: Modality::Asynchronous,
        maximum_age: Some(79),
        plans: &[
            PlanSeed {
                name: "On Demand",
                description: "Sildenafil, taken before it is needed.",
                tier: Tier::Basic,
                features: &[SHIPPING, MESSAGES],
                comparison: &[("Medication", "Sildenafil 50 mg"), ("Doses a month", "6")],
                covers: &[SILDENAFIL],
                prices: [3_000, 8_400, 30_000],
            },
            PlanSeed {
                name: "Daily",
                description: "Low-dose tadalafil, one tablet a day.",
                tier: Tier::Standard,
                features: &[SHIPPING, MESSAGES, VISITS],
                comparison: &[("Medication", "Tadalafil 5 mg"), ("Doses a month", "30")],
                covers: &[TADALAFIL],
                prices: [4_500, 12_600, 45_600],
            },
        ],
    },
    CategorySeed {
        id: WEIGHT_MANAGEMENT,
        slug: "weight-management",
        name: "Weight management",
        description: "Medical weight management with medication and coaching.",
        modality: Modality::Asynchronous,
        maximum_age: Some(75),
        plans: &[
            PlanSeed {
                name: "Weight Essential",
                description: "Oral medication and a coach.",
                tier: Tier::Basic,
                features: &[SHIPPING, MESSAGES, ("coach_messages", "Coach by message")],
                comparison: &[("Medication", "Metformin"), ("Visits", "By message")],
                covers: &[METFORMIN],
                prices: [4_900, 13_500, 47_000],
            },
            PlanSeed {
                name: "Weight GLP-1",
                description: "A weekly semaglutide injection, increased step by step.",
                tier: Tier::Standard,
                features: &[SHIPPING, MESSAGES, VISITS, COLD_CHAIN],
                comparison: &[("Medication", "Semaglutide"), ("Visits", "By message and video")],
                covers: &[SEMAGLUTIDE],
                prices: [29_900, 84_900, 328_800],
            },
            PlanSeed {
                name: "Weight GLP-1 Complete",
                description: "Semaglutide, a dietitian and laboratory tests.",
                tier: Tier::Premium,
                features: &[
                    SHIPPING,
                    MESSAGES,
                    VISITS,
                    COLD_CHAIN,
                    ("monthly_dietitian", "Dietitian every month"),
                    ("laboratory_tests", "Laboratory tests twice a year"),
                ],
                comparison: &[("Medication", "Semaglutide"), ("Visits", "Video every month")],
                covers: &[SEMAGLUTIDE],
                prices: [34_900, 99_900, 388_800],
            },
        ],
    },
    CategorySeed {
        id: ACNE,
        slug: "acne",
        name: "Acne",
        description: "Treatment of acne vulgaris with topical and oral medication.",
        modality: Modality::Asynchronous,
        maximum_age: None,
        plans: &[
            PlanSeed {
                name: "Clear Topical",
                description: "Tretinoin gel, once a day at bedtime.",
                tier: Tier::Basic,
                features: &[SHIPPING, MESSAGES],
                comparison: &[("Medication", "Tretinoin gel 0.05 %"), ("Visits", "By message")],
                covers: &[TRETINOIN],
                prices: [2_900, 7_800, 27_600],
            },
            PlanSeed {
                name: "Clear Oral",
                description: "An oral antibiotic for up to three months.",
                tier: Tier::Standard,
                features: &[SHIPPING, MESSAGES, VISITS],
                comparison: &[
                    ("Medication", "Doxycycline 100 mg"),
                    ("Visits", "By message and video"),
                ],
                covers: &[DOXYCYCLINE],
                prices: [4_400, 11_900, 42_000],
            },
        ],
    },
    CategorySeed {
        id: ANXIETY,
        slug: "anxiety",
        name: "Anxiety",
        description: "Treatment of generalized anxiety, followed with the GAD-7.",
        modality: Modality::Video,
        maximum_age: None,
        plans: &[
            PlanSeed {
                name: "Calm Medication",
                description: "Medication management with a GAD-7 every month.",
                tier: Tier::Standard,
                features: &[SHIPPING, MESSAGES, VISITS, GAD_7],
                comparison: &[("Medication", "Sertraline"), ("Visits", "Video every quarter")],
                covers: &[SERTRALINE],
                prices: [6_500, 17_900, 64_800],
            },
            PlanSeed {
                name: "Calm Complete",
                description: "Medication management and a video visit every month.",
                tier: Tier::Premium,
                features: &[SHIPPING, MESSAGES, MONTHLY_VISIT, GAD_7],
                comparison: &[("Medication", "Sertraline"), ("Visits", "Video every month")],
                covers: &[SERTRALINE],
                prices: [11_900, 32_900, 118_800],
            },
        ],
    },
    CategorySeed {
        id: DEPRESSION,
        slug: "depression",
        name: "Depression",
        description: "Treatment of depression, followed with the PHQ-9.",
        modality: Modality::Video,
        maximum_age: None,
        plans: &[
            PlanSeed {
                name: "Mood Medication",
                description: "Medication management with a PHQ-9 every month.",
                tier: Tier::Standard,
                features: &[SHIPPING, MESSAGES, VISITS, PHQ_9],
                comparison: &[("Medication", "Sertraline"), ("Visits", "Video every quarter")],
                covers: &[SERTRALINE],
                prices: [6_500, 17_900, 64_800],
            },
            PlanSeed {
                name: "Mood Complete",
                description: "Medication management and a video visit every month.",
                tier: Tier::Premium,
                features: &[SHIPPING, MESSAGES, MONTHLY_VISIT, PHQ_9],
                comparison: &[("Medication", "Sertraline"), ("Visits", "Video every month")],
                covers: &[SERTRALINE],
                prices: [11_900, 32_900, 118_800],
            },
        ],
    },
];

struct ArticleSeed {
    category: CategoryId,
    title: &'static str,
    summary: &'static str,
    body: &'static str,
    minimum_tier: Option<Tier>,
}

const ARTICLES: [ArticleSeed; 3] = [
    ArticleSeed {
        category: HAIR_LOSS,
        title: "When does it begin to work?",
        summary: "What to expect in the first months, and when to ask your provider.",
        body: "Hair grows slowly. Shedding in the first weeks is common and passes. Compare \
               photos after *three months*, and judge the treatment after a year.",
        minimum_tier: None,
    },
    ArticleSeed {
        category: HAIR_LOSS,
        title: "Minoxidil by mouth",
        summary: "What to watch in the first weeks.",
        body: "Rise slowly when you get up. Tell your provider of a *racing heart*, of swollen \
               ankles, or of a weight that rises quickly: these need to be looked at **the same \
               day**.",
        minimum_tier: Some(Tier::Standard),
    },
    ArticleSeed {
        category: WEIGHT_MANAGEMENT,
        title: "The first weeks on an injection",
        summary: "Small doses at first, and what helps against nausea.",
        body: "The dose rises step by step. Eat slowly and stop when you are full; tell your \
               provider of vomiting that lasts longer than a day.",
        minimum_tier: Some(Tier::Standard),
    },
];

/// The `number`-th article, counted from 1.
const fn article_id(category: CategoryId, number: u128) -> ArticleId {
    ArticleId(Uuid::from_u128(category.uuid().as_u128() + (2 << 96) + (number << 16)))
}

impl ArticleSeed {
    fn spec(&self) -> ArticleSpec {
        ArticleSpec {
            category: self.category,
            title: self.title.into(),
            summary: self.summary.into(),
            body: self.body.into(),
            minimum_tier: self.minimum_tier,
            published: true,
        }
    }
}

/// Sows what is missing. A category or plan that an administrator changed
/// since is left as it is.
pub async fn sow(store: &dyn CatalogStore) -> Result<(), CatalogError> {
    let actor = Actor::system("seed.catalog");
    for seed in &CATEGORIES {
        let found: Option<Category> = store.begin(&actor).await?.find(seed.id).await?;
        if found.is_none() {
            let spec = CategorySpec {
                slug: seed.slug.into(),
                name: seed.name.into(),
                description: seed.description.into(),
                active: true,
                configuration: CategoryConfiguration {
                    required_modality: seed.modality,
                    minimum_age: 18,
                    maximum_age: seed.maximum_age,
                },
            };
            save_category(store, &actor, seed.id, spec).await?;
        }
        for (number, plan) in (1..).zip(seed.plans) {
            seed_plan(store, &actor, plan_id(seed.id, number), plan.spec(seed.id)?).await?;
        }
    }
    for (number, article) in (1..).zip(&ARTICLES) {
        let article = Article::new(article_id(article.category, number), article.spec())?;
        let mut tx = store.begin(&actor).await?;
        insert_missing(tx.as_mut(), &article).await?;
        tx.commit().await?;
    }
    Ok(())
}

impl Covered {
    fn treatment(&self) -> Result<CoveredTreatment, CatalogError> {
        let broken = |_| {
            let message = format!("{} is not a sound treatment.", self.name);
            CatalogError::Invalid(vec![FieldError::new("treatments", "invalid", message)])
        };
        let doses = self.doses.iter().map(|dose| DoseAmount::try_from(*dose));
        Ok(CoveredTreatment {
            drug: self.drug.parse().map_err(|_| broken(()))?,
            name: self.name.into(),
            form: self.form,
            unit: self.unit.into(),
            doses: doses.collect::<Result<_, _>>().map_err(|_| broken(()))?,
        })
    }
}

impl PlanSeed {
    fn spec(&self, category: CategoryId) -> Result<PlanSpec, CatalogError> {
        let [month, quarter, year] = self.prices;
        let features = self.features.iter().map(|(code, label)| Feature::new(code, *label));
        let features = features.collect::<Result<_, _>>().map_err(|error| {
            CatalogError::Invalid(vec![FieldError::new("features", "invalid", error.to_string())])
        })?;
        let price = |interval, minor| PriceSpec { interval, amount: Money::usd(minor) };
        Ok(PlanSpec {
            category,
            name: self.name.into(),
            description: self.description.into(),
            tier: self.tier,
            features,
            treatments: self.covers.iter().map(Covered::treatment).collect::<Result<_, _>>()?,
            comparison: self
                .comparison
                .iter()
                .map(|(label, value)| (label.to_string(), value.to_string()))
                .collect(),
            window: ActivationWindow::default(),
            active: true,
            prices: vec![
                price(BillingInterval::Monthly, month),
                price(BillingInterval::Quarterly, quarter),
                price(BillingInterval::Yearly, year),
                // Half a year at once costs what two quarters do.
                price(BillingInterval::Upfront { months: 6 }, quarter * 2),
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use catalog::{Article, Plan};
    use kernel::PriceId;

    use super::*;

    #[test]
    fn every_seed_is_sound_and_has_an_id_of_its_own() {
        let mut ids = BTreeSet::new();
        for seed in &CATEGORIES {
            assert!(ids.insert(seed.id.uuid()));
            for (number, plan) in (1..).zip(seed.plans) {
                let id = plan_id(seed.id, number);
                assert!(ids.insert(id.uuid()), "{}", plan.name);
                let plan = Plan::create(id, plan.spec(seed.id).unwrap(), |_| PriceId(Uuid::nil()))
                    .unwrap();
                assert!(plan.prices.len() >= 3);
                // A longer interval is never dearer by the month.
                let by_month: Vec<_> = plan
                    .prices
                    .iter()
                    .map(|price| price.amount.minor / i64::from(price.interval.months()))
                    .collect();
                assert!(by_month[0] > by_month[1] && by_month[1] > by_month[2], "{}", plan.name);
            }
            let spec = CategorySpec {
                slug: seed.slug.into(),
                name: seed.name.into(),
                description: seed.description.into(),
                active: true,
                configuration: CategoryConfiguration {
                    required_modality: seed.modality,
                    minimum_age: 18,
                    maximum_age: seed.maximum_age,
                },
            };
            Category::create(seed.id, spec).unwrap();
        }
        for (number, article) in (1..).zip(&ARTICLES) {
            let id = article_id(article.category, number);
            assert!(ids.insert(id.uuid()), "{}", article.title);
            Article::new(id, article.spec()).unwrap();
        }
    }
}
