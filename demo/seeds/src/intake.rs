//! The intake forms of the demo, one for each category. Link ids are words of
//! lower-case letters, digits and underscores, because the eligibility rules
//! name them as `answers.<link id>` and `scores.<link id>`.

mod acne;
mod anxiety;
mod build;
mod depression;
mod erectile_dysfunction;
mod hair_loss;
mod weight;

use intake::{FormDefinition, IntakeError, IntakeStore, NewFormVersion, seed_form};
use kernel::{Actor, CategoryId, FormId, FormVersionId, Uuid};
use ports::Env;

use super::catalog;

/// Every form with its category and slug.
pub fn forms() -> [(CategoryId, &'static str, FormDefinition); 6] {
    [
        (catalog::HAIR_LOSS, "hair-loss-intake", hair_loss::form()),
        (
            catalog::ERECTILE_DYSFUNCTION,
            "erectile-dysfunction-intake",
            erectile_dysfunction::form(),
        ),
        (catalog::WEIGHT_MANAGEMENT, "weight-management-intake", weight::form()),
        (catalog::ACNE, "acne-intake", acne::form()),
        (catalog::ANXIETY, "anxiety-intake", anxiety::form()),
        (catalog::DEPRESSION, "depression-intake", depression::form()),
    ]
}

/// Publishes the forms of the categories that have none, or one that was sown
/// before.
pub async fn sow(env: &Env, store: &dyn IntakeStore) -> Result<(), IntakeError> {
    let actor = Actor::system("seed.intake");
    for (category, slug, definition) in forms() {
        let new = NewFormVersion { category, slug: slug.into(), definition };
        seed_form(env, store, &actor, form_id(category), &versions(category), new).await?;
    }
    Ok(())
}

pub const fn form_id(category: CategoryId) -> FormId {
    FormId(Uuid::from_u128(category.uuid().as_u128() + (2 << 96)))
}

/// The first version of the category's form.
pub const fn version_id(category: CategoryId) -> FormVersionId {
    FormVersionId(Uuid::from_u128(category.uuid().as_u128() + (3 << 96)))
}

/// Every version of the category's form that was ever sown, the one of now
/// last.
pub fn versions(category: CategoryId) -> Vec<FormVersionId> {
    let first = version_id(category);
    // The second asks for photos, or has the published codes of the answers of
    // the instrument's last question.
    let two = matches!(
        category,
        catalog::HAIR_LOSS | catalog::ACNE | catalog::ANXIETY | catalog::DEPRESSION
    );
    if !two {
        return vec![first];
    }
    let second = FormVersionId(Uuid::from_u128(first.uuid().as_u128() + (1 << 80)));
    vec![first, second]
}

#[cfg(test)]
mod tests;
