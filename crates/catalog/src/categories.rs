//! A category of treatment, as in hair loss or anxiety. Everybody reads those that are
//! active; changing one takes `catalog.administer`.

use kernel::{
    Actor, CategoryId, FieldError, Permission, Seen, TextKind as _, Word,
    text::{CatalogDescription, CatalogName},
};
use ports::{Aggregate, Env, repository::get, repository::lock};

use crate::{CatalogError, CatalogStore};

/// The rule that a slug names one category.
pub const SLUG_KEY: &str = "category_slug_key";

/// How a provider has to meet the patient before a treatment can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
#[word("CategoryModality")]
pub enum Modality {
    /// Store and forward: the provider reads the answers.
    Asynchronous,
    /// Patient and provider see each other live.
    Video,
}

/// What holds for every plan of a category. A state may ask for more than the
/// category does; it never asks for less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryConfiguration {
    pub required_modality: Modality,
    /// In completed years.
    pub minimum_age: u16,
    /// In completed years; `None` where there is no upper limit.
    pub maximum_age: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("category")]
pub struct Category {
    pub id: CategoryId,
    pub slug: String,
    pub name: String,
    pub description: String,
    pub active: bool,
    pub configuration: CategoryConfiguration,
    pub version: i64,
}

/// What an administrator says of a category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategorySpec {
    pub slug: String,
    pub name: String,
    pub description: String,
    pub active: bool,
    pub configuration: CategoryConfiguration,
}

impl Category {
    pub fn create(id: CategoryId, spec: CategorySpec) -> Result<Self, CatalogError> {
        check(&spec)?;
        let CategorySpec { slug, name, description, active, configuration } = spec;
        Ok(Self { id, slug, name, description, active, configuration, version: 1 })
    }

    pub fn revise(&mut self, spec: CategorySpec) -> Result<(), CatalogError> {
        *self = Self { version: self.version, ..Self::create(self.id, spec)? };
        Ok(())
    }

    /// An inactive one exists for administrators only.
    pub fn is_shown_to(&self, actor: &Actor) -> bool {
        self.active || actor.may(Permission::CatalogAdminister)
    }
}

fn check(spec: &CategorySpec) -> Result<(), CatalogError> {
    let mut errors = Vec::new();
    let slug_ok = (2..=60).contains(&spec.slug.len())
        && spec.slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !slug_ok {
        errors.push(FieldError::new(
            "slug",
            "invalid",
            "A slug has 2 to 60 lower-case letters, digits and dashes.",
        ));
    }
    CatalogName::check(&mut errors, "name", &spec.name);
    CatalogDescription::check(&mut errors, "description", &spec.description);
    let CategoryConfiguration { minimum_age, maximum_age, .. } = spec.configuration;
    if maximum_age.is_some_and(|maximum| maximum < minimum_age) {
        errors.push(FieldError::new(
            "configuration.maximum_age",
            "out_of_range",
            "The maximum age is below the minimum age.",
        ));
    }
    if errors.is_empty() { Ok(()) } else { Err(CatalogError::Invalid(errors)) }
}

pub async fn categories(
    store: &dyn CatalogStore,
    actor: &Actor,
) -> Result<Vec<Category>, CatalogError> {
    let active_only = !actor.may(Permission::CatalogAdminister);
    Ok(store.begin(actor).await?.categories(active_only).await?)
}

/// Every category, offered or not.
pub async fn all_categories(
    store: &dyn CatalogStore,
    actor: &Actor,
) -> Result<Vec<Category>, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    categories(store, actor).await
}

pub async fn category(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: CategoryId,
) -> Result<Category, CatalogError> {
    let found = get::<Category>(store.begin(actor).await?.as_mut(), id).await?;
    if found.is_shown_to(actor) { Ok(found) } else { Err(CatalogError::no::<Category>()) }
}

pub async fn create_category(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    spec: CategorySpec,
) -> Result<Category, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let category = Category::create(env.fresh(), spec)?;
    let mut tx = store.begin(actor).await?;
    tx.insert(&category).await.map_err(|error| error.at(SLUG_KEY, CatalogError::SlugTaken))?;
    tx.commit().await?;
    Ok(category)
}

/// Creates the category, or revises it where it exists.
pub async fn save_category(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: CategoryId,
    spec: CategorySpec,
) -> Result<Category, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let mut tx = store.begin(actor).await?;
    let found: Option<Category> = tx.find(id).await?;
    if found.is_some() {
        drop(tx);
        return revise_category(store, actor, id, Seen::Any, spec).await;
    }
    let category = Category::create(id, spec)?;
    tx.insert(&category).await?;
    tx.commit().await?;
    Ok(category)
}

/// `seen` is what the caller read. A category that is no longer active takes no new
/// patients and sells no plan; who is treated stays so.
pub async fn revise_category(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: CategoryId,
    seen: impl Into<Seen>,
    spec: CategorySpec,
) -> Result<Category, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let mut tx = store.begin(actor).await?;
    let mut category = lock::<Category>(tx.as_mut(), id, &seen.into()).await?;
    category.revise(spec)?;
    tx.save(&mut category).await.map_err(|error| error.at(SLUG_KEY, CatalogError::SlugTaken))?;
    tx.commit().await?;
    Ok(category.into_inner())
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;

    use super::*;

    fn spec() -> CategorySpec {
        CategorySpec {
            slug: "hair-loss".into(),
            name: "Hair loss".into(),
            description: "Androgenetic alopecia.".into(),
            active: true,
            configuration: CategoryConfiguration {
                required_modality: Modality::Asynchronous,
                minimum_age: 18,
                maximum_age: None,
            },
        }
    }

    #[test]
    fn every_broken_field_is_named() {
        let mut bad = spec();
        bad.slug = "Hair Loss".into();
        bad.name = " ".into();
        bad.configuration.maximum_age = Some(17);
        let Err(CatalogError::Invalid(fields)) = Category::create(CategoryId(Uuid::nil()), bad)
        else {
            panic!("it was taken");
        };
        let paths: Vec<_> = fields.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(paths, ["slug", "name", "configuration.maximum_age"]);
    }
}
