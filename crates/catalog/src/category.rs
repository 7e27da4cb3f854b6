//! A category of treatment, as in hair loss or anxiety.

use kernel::{
    CategoryId, FieldError, TextKind as _,
    text::{CatalogDescription, CatalogName},
};
use strum::{Display, EnumString, IntoStaticStr};

use crate::CatalogError;

/// How a provider has to meet the patient before a treatment can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
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

#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// The same category with other words; `None` where nothing would change.
    pub fn revise(&self, spec: CategorySpec) -> Result<Option<Self>, CatalogError> {
        check(&spec)?;
        let CategorySpec { slug, name, description, active, configuration } = spec;
        let revised = Self {
            id: self.id,
            slug,
            name,
            description,
            active,
            configuration,
            version: self.version,
        };
        Ok((revised != *self).then_some(Self { version: self.version + 1, ..revised }))
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
    fn a_revision_without_a_change_is_none_and_a_change_counts_the_version() {
        let category = Category::create(CategoryId(Uuid::nil()), spec()).unwrap();
        assert_eq!(category.revise(spec()).unwrap(), None);
        let renamed =
            category.revise(CategorySpec { name: "Hair".into(), ..spec() }).unwrap().unwrap();
        assert_eq!((renamed.version, renamed.name.as_str()), (2, "Hair"));
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
